"""Floating-point numbers as the bit patterns they are.

TensorFlow runs host code with subnormals flushed to zero, so no float comparison or conversion of a subnormal
can be trusted there: everything is decided on the bit patterns, and values are rebuilt from integers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.formats import FORMATS, FloatFormat

Array = NDArray[np.generic]
Bits = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Layout:
    """A format's bit fields as Python integers, and the dtypes that hold its numbers and their bits."""

    fmt: FloatFormat
    native: np.dtype[np.generic]
    unsigned: np.dtype[np.unsignedinteger]
    signed: np.dtype[np.signedinteger]
    sign: int
    nonfinite: int  # magnitudes from here on are Inf or NaN
    infinity: int  # the magnitude of Inf; -1 without one
    normal: int  # the smallest normal magnitude
    bin_shift: int  # log2 of the binades per histogram bin
    first_bin: int  # the histogram bin of the smallest normal number
    bin_edges: NDArray[np.intp]  # from there on: the exponent field, less 1, at which each bin begins

    @classmethod
    def of(cls, fmt: FloatFormat, native: np.dtype[np.generic]) -> Layout:
        width = fmt.bits // 8
        mantissa = fmt.precision - 1
        top = ((1 << fmt.exponent_bits) - 1) << mantissa
        nonfinite = top if fmt.has_inf else (1 << (fmt.bits - 1)) - 1
        bin_shift = fmt.bin_width.bit_length() - 1
        bins = (np.arange(1, 1 << fmt.exponent_bits) + mantissa - 1) >> bin_shift
        return cls(
            fmt=fmt,
            native=native,
            unsigned=np.dtype(f"u{width}"),
            signed=np.dtype(f"i{width}"),
            sign=1 << (fmt.bits - 1),
            nonfinite=nonfinite,
            infinity=top if fmt.has_inf else -1,
            normal=1 << mantissa,
            bin_shift=bin_shift,
            first_bin=int(bins[0]),
            bin_edges=np.flatnonzero(np.diff(bins, prepend=-1)),
        )


@functools.cache
def layout_of(dtype: np.dtype[np.generic]) -> Layout:
    """The bit fields of a numpy dtype; ``dtype.name`` alone would cost as much as a pass.

    Raises:
      KeyError: no floating-point format that a row can be made of.
    """
    return Layout.of(FORMATS[dtype.name], dtype)


def bits_of(array: Array) -> Bits:
    """The bit patterns of an array, in its shape; it must be contiguous, or of one dimension."""
    return array.view(layout_of(array.dtype).unsigned)


def magnitude_of(bits: Bits, layout: Layout) -> Bits:
    """Bit patterns without their sign; compared as integers, they are in the order of the magnitudes."""
    return bits & bits.dtype.type(layout.sign - 1)


def subnormals(magnitude: Bits, layout: Layout) -> NDArray[np.intp]:
    """Positions of the subnormals among magnitudes given as bits."""
    wrapped = magnitude - magnitude.dtype.type(1)  # zeros wrap to the top
    return np.flatnonzero(wrapped < layout.normal - 1)


def exponents_of(magnitude: Bits, layout: Layout) -> NDArray[np.signedinteger]:
    """floor(log2) of non-zero finite magnitudes given as bits, counted from the smallest subnormal."""
    mantissa = layout.fmt.precision - 1
    exponent: NDArray[np.signedinteger] = (magnitude >> mantissa).view(layout.signed) + layout.signed.type(mantissa - 1)
    if np.minimum.reduce(exponent, initial=mantissa) < mantissa:
        subnormal = exponent < mantissa
        exponent[subnormal] = np.frexp(magnitude[subnormal].astype(np.float64))[1] - 1
    return exponent


def values_of(magnitude: Bits, layout: Layout) -> NDArray[np.float64]:
    """The numbers that finite magnitudes given as bits stand for."""
    values = magnitude.view(layout.native).astype(np.float64)
    if layout.fmt.bits < 64:  # the conversion may have flushed subnormals
        subnormal = subnormals(magnitude, layout)
        values[subnormal] = np.ldexp(magnitude[subnormal].astype(np.float64), layout.fmt.min_subnormal_exp)
    return values
