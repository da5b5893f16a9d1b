"""Many small tensors at once: the passes of counters.measure over all of them laid end to end.

A pass over ten elements costs as much as one over ten thousand, and most tensors of a step are small:
biases, scalars, the states of a recurrent cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.counters import (
    SAMPLE,
    Bits,
    Layout,
    bits_of,
    exponents_of,
    layout_of,
    measure,
    spread,
    values_of,
)
from tb_numstab.schema.columns import INDEX, WIDTH, Row
from tb_numstab.schema.formats import HISTOGRAM_BINS

Measured = tuple[Row, NDArray[np.float32]]


def measure_all(arrays: Sequence[NDArray[np.generic]]) -> list[Measured]:
    """counters.measure of each array, of any formats, in order."""
    results: dict[int, Measured] = {}
    by_format: dict[np.dtype[np.generic], list[int]] = {}
    for index, array in enumerate(arrays):
        if 0 < array.size <= SAMPLE:
            by_format.setdefault(array.dtype, []).append(index)
        else:
            results[index] = measure(array)
    for dtype, indices in by_format.items():
        results |= zip(indices, _measure_together([arrays[i] for i in indices], layout_of(dtype)), strict=True)
    return [results[i] for i in range(len(arrays))]


def _measure_together(arrays: list[NDArray[np.generic]], layout: Layout) -> list[Measured]:
    if len(arrays) == 1:
        return [measure(arrays[0])]
    sizes = np.array([a.size for a in arrays])
    bits = np.concatenate([bits_of(a) for a in arrays])
    magnitude = bits & bits.dtype.type(layout.sign - 1)
    if (magnitude >= bits.dtype.type(layout.nonfinite)).any():
        return [measure(a) for a in arrays]  # rare: a step that went wrong
    rows = np.full((len(arrays), WIDTH), np.nan)
    rows[:, INDEX["size"]] = rows[:, INDEX["inspected"]] = sizes
    rows[:, INDEX["calls"]] = 1
    rows[:, [INDEX["nan"], INDEX["pos_inf"], INDEX["neg_inf"]]] = 0
    _fill_extremes(rows, bits, magnitude, np.cumsum(sizes) - sizes, layout)
    histograms, rows[:, INDEX["sum_sq"]] = _spread(magnitude, sizes, layout)
    return list(zip(rows, histograms, strict=True))


def _fill_extremes(rows: Row, bits: Bits, magnitude: Bits, starts: NDArray[np.int64], layout: Layout) -> None:
    ordered = _flipped(bits.view(layout.signed), layout)
    wrapped = magnitude - magnitude.dtype.type(1)  # zeros wrap to the top and leave the minimum to the others
    rows[:, INDEX["zero"]] = np.add.reduceat(magnitude == 0, starts, dtype=np.int64)
    rows[:, INDEX["negative"]] = np.add.reduceat(ordered < -1, starts, dtype=np.int64)  # -0 is -1
    rows[:, INDEX["subnormal"]] = np.add.reduceat(wrapped < layout.normal - 1, starts, dtype=np.int64)
    for name, extreme in (("min", np.minimum), ("max", np.maximum)):
        found = extreme.reduceat(ordered, starts)
        patterns = _flipped(found, layout).view(layout.unsigned)
        values = values_of(patterns & patterns.dtype.type(layout.sign - 1), layout)
        rows[:, INDEX[name]] = np.where(found < 0, -values, values)
    largest, smallest = np.maximum.reduceat(magnitude, starts), np.minimum.reduceat(wrapped, starts) + 1
    known = largest > 0
    for name, extremes in (("min_exp", smallest), ("max_exp", largest)):
        rows[known, INDEX[name]] = exponents_of(extremes[known], layout) + float(layout.fmt.min_subnormal_exp)


def _flipped(patterns: NDArray[np.signedinteger], layout: Layout) -> NDArray[np.signedinteger]:
    """Bit patterns as integers in the order of the numbers they stand for, and back."""
    return patterns ^ ((patterns >> (layout.fmt.bits - 1)) & patterns.dtype.type(layout.sign - 1))


def _spread(
    magnitude: Bits, sizes: NDArray[np.int64], layout: Layout
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Exact histograms [k, HISTOGRAM_BINS] and sums of squares [k]."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    nonzero = magnitude != 0
    if not nonzero.all():
        owner, magnitude = owner[nonzero], magnitude[nonzero]
    bins, squares = spread(magnitude, layout)
    counts = np.bincount(owner * HISTOGRAM_BINS + bins, minlength=len(sizes) * HISTOGRAM_BINS)
    sums = np.bincount(owner, weights=squares, minlength=len(sizes)).astype(np.float64, copy=False)
    return counts.reshape(len(sizes), HISTOGRAM_BINS).astype(np.float32), sums
