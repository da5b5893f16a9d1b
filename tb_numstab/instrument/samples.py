"""Fixed-stride samples of tensors, and what is estimated from them: exponent histogram and sum of squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.bits import Array, Bits, Layout, exponents_of, magnitude_of, subnormals, values_of
from tb_numstab.schema.formats import HISTOGRAM_BINS

Histograms = NDArray[np.float32]

SAMPLE = 2048
"""Elements of a sample at most; a tensor of no more is its own sample."""


def stride_of(size: int) -> int:
    """The stride of a sample of at most SAMPLE elements: odd, or it would see one channel in a power of two."""
    return -(-size // SAMPLE) | 1


def sampled(array: Array, operands: Sequence[Array]) -> tuple[Array, list[Array]]:
    """A fixed-stride sample of a tensor, flat, and the same elements of its operands."""
    stride = stride_of(array.size)
    where: tuple[NDArray[np.intp], ...] = ()
    parts: list[Array] = []
    for x in operands:
        if x.size == 1 or x.shape == array.shape:
            parts.append(x.reshape(-1)[::stride])
        else:
            where = where or np.unravel_index(np.arange(0, array.size, stride), array.shape)
            parts.append(x[tuple(i if n > 1 else 0 for i, n in zip(where[-x.ndim :], x.shape, strict=True))])
    return array.reshape(-1)[::stride], parts


def starts_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each part begins of parts of these sizes laid end to end."""
    starts: NDArray[np.int64] = np.cumsum(sizes) - sizes
    return starts


def spread(bits: Bits, sizes: NDArray[np.int64], layout: Layout) -> tuple[Histograms, NDArray[np.float64]]:
    """Histograms and sums of squares of k samples laid end to end, of at least one element each.

    Returns:
      histograms: float32 [k, HISTOGRAM_BINS], non-zero finite elements per exponent bin.
      sums: float64 [k], over the finite elements.
    """
    magnitude = magnitude_of(bits, layout)
    if np.maximum.reduce(magnitude) >= layout.nonfinite:
        magnitude[magnitude >= layout.nonfinite] = 0
    owner = np.repeat(np.arange(len(sizes)), sizes)
    histograms = np.zeros((len(sizes), HISTOGRAM_BINS), np.float32)
    last = layout.first_bin + len(layout.bin_edges)
    histograms[:, layout.first_bin : last] = np.add.reduceat(
        _fields(magnitude, owner, layout), layout.bin_edges, axis=1
    )
    subnormal = subnormals(magnitude, layout)
    if len(subnormal):
        bins = exponents_of(magnitude[subnormal], layout) >> layout.bin_shift
        np.add.at(histograms, (owner[subnormal], bins), 1)
    with np.errstate(over="ignore", under="ignore"):
        return histograms, np.add.reduceat(np.square(values_of(magnitude, layout)), starts_of(sizes))


def _fields(magnitude: Bits, owner: NDArray[np.int64], layout: Layout) -> NDArray[np.int64]:
    """How often each value of the exponent field occurs in each sample, 0 (zeros and subnormals) left out."""
    levels = 1 << layout.fmt.exponent_bits
    field = (magnitude >> (layout.fmt.precision - 1)).view(layout.signed)
    counts = np.bincount(owner * levels + field, minlength=levels * (int(owner[-1]) + 1))
    return counts.reshape(-1, levels)[:, 1:]
