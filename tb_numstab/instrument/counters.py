"""One row per tensor: lean integer passes over the bits of a host array.

TensorFlow runs host code with subnormals flushed to zero, so no float comparison or conversion can be
trusted here: everything is decided on the bit patterns, and values are rebuilt from integers.
"""

from __future__ import annotations

import functools
import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.columns import INDEX, WIDTH, Row
from tb_numstab.schema.formats import FORMATS, HISTOGRAM_BINS, FloatFormat

Bits = NDArray[np.unsignedinteger]

CHUNK = 1 << 17
"""Elements per pass: a chunk and its scratch stay in a core's second-level cache."""

FLOAT64 = FORMATS["float64"]

SAMPLE = 2048
"""Elements of the fixed-stride sample behind the exponent histogram and sum_sq."""


@dataclass(frozen=True)
class Layout:
    """A format's bit fields as Python integers, and the integer dtypes that hold them."""

    fmt: FloatFormat
    unsigned: np.dtype[np.unsignedinteger]
    signed: np.dtype[np.signedinteger]
    sign: int
    nonfinite: int  # magnitudes from here on are Inf or NaN
    infinity: int  # the magnitude of Inf; -1 without one
    normal: int  # the smallest normal magnitude
    steps: NDArray[np.float64]  # by biased exponent: the value of the last significand bit
    bin_shift: int  # log2 of the binades per histogram bin

    @classmethod
    def of(cls, fmt: FloatFormat) -> Layout:
        width = fmt.bits // 8
        mantissa = fmt.precision - 1
        top = ((1 << fmt.exponent_bits) - 1) << mantissa
        nonfinite = top if fmt.has_inf else (1 << (fmt.bits - 1)) - 1
        return cls(
            fmt=fmt,
            unsigned=np.dtype(f"u{width}"),
            signed=np.dtype(f"i{width}"),
            sign=1 << (fmt.bits - 1),
            nonfinite=nonfinite,
            infinity=top if fmt.has_inf else -1,
            normal=1 << mantissa,
            steps=np.ldexp(1.0, np.maximum(np.arange(1 << fmt.exponent_bits) - 1, 0) + fmt.min_subnormal_exp),
            bin_shift=fmt.bin_width.bit_length() - 1,
        )

    def exponent(self, magnitude: int) -> int:
        """floor(log2) of a non-zero finite magnitude given as bits."""
        mantissa = self.fmt.precision - 1
        biased = magnitude >> mantissa
        if biased:
            return biased - 1 + self.fmt.min_exp
        return self.fmt.min_subnormal_exp + magnitude.bit_length() - 1

    def value(self, pattern: int) -> float:
        """The number a finite bit pattern stands for; exact for every format up to float64."""
        magnitude = pattern & (self.sign - 1)
        mantissa = self.fmt.precision - 1
        biased = magnitude >> mantissa
        significand = magnitude & ((1 << mantissa) - 1) | ((1 << mantissa) if biased else 0)
        number = math.ldexp(significand, max(biased, 1) - 1 + self.fmt.min_subnormal_exp)
        return -number if pattern & self.sign else number


LAYOUTS = {name: Layout.of(fmt) for name, fmt in FORMATS.items()}


@functools.cache
def layout_of(dtype: np.dtype[np.generic]) -> Layout:
    """The bit fields of a numpy dtype; ``dtype.name`` alone would cost as much as a pass.

    Raises:
      KeyError: no floating-point format that a row can be made of.
    """
    return LAYOUTS[dtype.name]


def bits_of(array: NDArray[np.generic]) -> Bits:
    """The flat bit patterns of an array in its own format, without a copy where it is contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(layout_of(array.dtype).unsigned)


def stride_of(size: int) -> int:
    """The stride of a sample of at most SAMPLE elements: odd, or it would see one channel in a power of two."""
    return -(-size // SAMPLE) | 1


_thread = threading.local()


def _scratch(bits: Bits) -> Bits:
    """This thread's scratch for one chunk: allocating one for each pass would cost more than the pass."""
    buffer = getattr(_thread, "buffer", None)
    if buffer is None:
        buffer = _thread.buffer = np.empty(CHUNK * 8, np.uint8)
    part: Bits = buffer[: bits.nbytes].view(bits.dtype)
    return part


@dataclass
class Extremes:
    """Running integer extremes of the finite elements, and the counts."""

    largest: int = -1  # greatest pattern as a signed integer: the largest non-negative number
    most_negative: int = -1  # greatest pattern with the sign bit
    least: int | None = None  # smallest unsigned pattern of the chunks with one sign only
    smallest: int | None = None  # smallest non-zero magnitude
    zero: int = 0
    negative: int = 0
    subnormal: int = 0
    nan: int = 0
    pos_inf: int = 0
    neg_inf: int = 0


def measure(array: NDArray[np.generic]) -> tuple[Row, NDArray[np.float32]]:
    """The counters of one tensor.

    Args:
      array: any shape, in one of schema.formats.FORMATS; read only.

    Returns:
      row: float64 [WIDTH], columns of op-level events absent.
      histogram: float32 [HISTOGRAM_BINS], sampled non-zero finite elements per exponent bin.
    """
    layout, bits = layout_of(array.dtype), bits_of(array)
    row = np.full(WIDTH, np.nan)
    row[INDEX["size"]] = row[INDEX["inspected"]] = bits.size
    row[INDEX["calls"]] = 1
    seen = Extremes()
    for start in range(0, bits.size, CHUNK):
        _scan(bits[start : start + CHUNK], layout, seen)
    fill(row, seen, layout)
    histogram = np.zeros(HISTOGRAM_BINS, np.float32)
    if seen.smallest is not None:
        row[INDEX["sum_sq"]] = _sample(bits, layout, histogram)
    elif bits.size > seen.nan + seen.pos_inf + seen.neg_inf:
        row[INDEX["sum_sq"]] = 0.0
    return row, histogram


def _scan(bits: Bits, layout: Layout, seen: Extremes) -> None:
    """Adds one chunk: three integer passes over numbers of one sign, six over any others, two more for zeros."""
    top = int(np.maximum.reduce(bits))
    largest = int(np.maximum.reduce(bits.view(layout.signed))) if top & layout.sign else top
    if largest >= layout.nonfinite or (top & layout.sign and top ^ layout.sign >= layout.nonfinite):
        bits = _count_nonfinite(bits, layout, seen)
        if bits.size:
            _scan(bits, layout, seen)
        return
    seen.largest = max(seen.largest, largest)
    magnitude = bits
    if top & layout.sign:
        seen.most_negative = max(seen.most_negative, top)
        seen.negative += int(np.count_nonzero(bits > bits.dtype.type(layout.sign)))  # -0 is not below zero
        magnitude = np.bitwise_and(bits, bits.dtype.type(layout.sign - 1), out=_scratch(bits))
    smallest, normal = int(np.minimum.reduce(magnitude)), layout.normal
    if largest < 0 or not top & layout.sign:  # one sign only: the least pattern bounds the range
        least = smallest | layout.sign if largest < 0 else smallest
        seen.least = least if seen.least is None else min(seen.least, least)
    if smallest == 0:
        nonzero = int(np.count_nonzero(magnitude))
        seen.zero += bits.size - nonzero
        if not nonzero:
            return
        # Zeros wrap to the top and leave the minimum to the others.
        magnitude, normal = np.subtract(magnitude, bits.dtype.type(1), out=_scratch(bits)), normal - 1
        smallest = int(np.minimum.reduce(magnitude)) + 1
    seen.smallest = smallest if seen.smallest is None else min(seen.smallest, smallest)
    if smallest < layout.normal:
        seen.subnormal += int(np.count_nonzero(magnitude < bits.dtype.type(normal)))


def _count_nonfinite(bits: Bits, layout: Layout, seen: Extremes) -> Bits:
    """Counts NaN and Inf of a chunk; returns its finite elements."""
    magnitude = bits & bits.dtype.type(layout.sign - 1)
    bad = magnitude >= bits.dtype.type(layout.nonfinite)
    patterns = bits[bad]
    infinite = (patterns & patterns.dtype.type(layout.sign - 1)) == layout.infinity
    negative = patterns >= patterns.dtype.type(layout.sign)
    seen.pos_inf += int(np.count_nonzero(infinite & ~negative))
    seen.neg_inf += int(np.count_nonzero(infinite & negative))
    seen.nan += patterns.size - int(np.count_nonzero(infinite))
    return bits[~bad]


def fill(row: Row, seen: Extremes, layout: Layout) -> None:
    """Writes the counters of one tensor into its row."""
    row[INDEX["nan"]], row[INDEX["pos_inf"]], row[INDEX["neg_inf"]] = seen.nan, seen.pos_inf, seen.neg_inf
    row[INDEX["zero"]], row[INDEX["subnormal"]] = seen.zero, seen.subnormal
    row[INDEX["negative"]] = seen.negative + seen.neg_inf
    if seen.nan or seen.pos_inf or seen.neg_inf:
        row[INDEX["first_bad_call"]] = 0
    if seen.largest < 0 and seen.most_negative < 0:
        return  # no finite element
    # The extreme on the side of a missing sign is the least pattern: the number closest to zero.
    row[INDEX["min"]] = layout.value(seen.most_negative if seen.most_negative >= 0 else seen.least or 0)
    row[INDEX["max"]] = layout.value(seen.largest if seen.largest >= 0 else seen.least or 0)
    if seen.smallest is not None:
        magnitude = max(seen.largest, seen.most_negative & (layout.sign - 1) if seen.most_negative > 0 else 0)
        row[INDEX["max_exp"]] = layout.exponent(magnitude)
        row[INDEX["min_exp"]] = layout.exponent(seen.smallest)


def _sample(bits: Bits, layout: Layout, histogram: NDArray[np.float32]) -> float:
    """Fills the histogram from a fixed-stride sample; returns the estimated sum of squares."""
    magnitude = bits[:: stride_of(bits.size)] & bits.dtype.type(layout.sign - 1)
    count = len(magnitude)
    bins, squares = spread(magnitude[(magnitude > 0) & (magnitude < layout.nonfinite)], layout)
    histogram += np.bincount(bins, minlength=HISTOGRAM_BINS)
    return float(squares.sum()) * (bits.size / count)


def spread(magnitude: Bits, layout: Layout) -> tuple[NDArray[np.signedinteger], NDArray[np.float64]]:
    """Histogram bin and square of non-zero finite magnitudes given as bits."""
    with np.errstate(over="ignore", under="ignore"):
        return exponents_of(magnitude, layout) >> layout.bin_shift, np.square(values_of(magnitude, layout))


def exponents_of(magnitude: Bits, layout: Layout) -> NDArray[np.signedinteger]:
    """floor(log2) of non-zero finite magnitudes given as bits, counted from the smallest subnormal."""
    mantissa = layout.fmt.precision - 1
    exponent: NDArray[np.signedinteger] = (magnitude >> mantissa).view(layout.signed) + layout.signed.type(mantissa - 1)
    if np.minimum.reduce(exponent, initial=mantissa) >= mantissa:
        return exponent
    return np.where(exponent >= mantissa, exponent, np.frexp(magnitude.astype(np.float64))[1] - 1)


def values_of(magnitude: Bits, layout: Layout) -> NDArray[np.float64]:
    """The numbers that finite magnitudes stand for; a conversion would be flushed in TensorFlow's threads."""
    if layout.fmt is FLOAT64:
        return magnitude.view(np.float64)
    mantissa = layout.fmt.precision - 1
    if np.minimum.reduce(magnitude, initial=layout.normal) >= layout.normal:
        # A normal number becomes a float64 by moving its fields.
        moved = (magnitude.astype(np.uint64) << (FLOAT64.precision - 1 - mantissa)).view(np.int64)
        return (moved + ((layout.fmt.min_exp - FLOAT64.min_exp) << (FLOAT64.precision - 1))).view(np.float64)
    biased = (magnitude >> mantissa).astype(np.intp)
    significand = (magnitude & ((1 << mantissa) - 1)) | np.where(biased > 0, 1 << mantissa, 0)
    values: NDArray[np.float64] = np.multiply(significand, layout.steps[biased])
    return values
