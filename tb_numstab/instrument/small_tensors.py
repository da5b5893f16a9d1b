"""Many small tensors at once: the passes of counters.measure over all of them laid end to end.

A pass over ten elements costs as much as one over ten thousand, and most tensors of a step are small:
biases, scalars, the states of a recurrent cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.counters import LAYOUTS, SAMPLE, Bits, Extremes, Layout, bits_of, fill, measure, spread
from tb_numstab.schema.columns import INDEX, WIDTH, Row
from tb_numstab.schema.formats import HISTOGRAM_BINS

Measured = tuple[Row, NDArray[np.float32]]


def measure_all(arrays: Sequence[NDArray[np.generic]]) -> list[Measured]:
    """counters.measure of each array, of any formats, in order."""
    results: dict[int, Measured] = {}
    by_format: dict[str, list[int]] = {}
    for index, array in enumerate(arrays):
        if 0 < array.size <= SAMPLE:
            by_format.setdefault(array.dtype.name, []).append(index)
        else:
            results[index] = measure(array, LAYOUTS[array.dtype.name])
    for name, indices in by_format.items():
        results |= zip(indices, _measure_together([arrays[i] for i in indices], LAYOUTS[name]), strict=True)
    return [results[i] for i in range(len(arrays))]


def _measure_together(arrays: list[NDArray[np.generic]], layout: Layout) -> list[Measured]:
    if len(arrays) == 1:
        return [measure(arrays[0], layout)]
    sizes = np.array([a.size for a in arrays])
    bits = np.concatenate([bits_of(a, layout) for a in arrays])
    magnitude = bits & bits.dtype.type(layout.sign - 1)
    if (magnitude >= bits.dtype.type(layout.nonfinite)).any():
        return [measure(a, layout) for a in arrays]  # rare: a step that went wrong
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows = np.full((len(arrays), WIDTH), np.nan)
    rows[:, INDEX["size"]] = rows[:, INDEX["inspected"]] = sizes
    rows[:, INDEX["calls"]] = 1
    for row, seen in zip(rows, _extremes(bits, magnitude, starts, layout), strict=True):
        fill(row, seen, layout)
    histograms, squares = _spread(magnitude, sizes, layout)
    rows[:, INDEX["sum_sq"]] = squares
    return list(zip(rows, histograms, strict=True))


def _extremes(bits: Bits, magnitude: Bits, starts: NDArray[np.int64], layout: Layout) -> list[Extremes]:
    one = bits.dtype.type(1)
    sign = bits.dtype.type(layout.sign)
    wrapped = magnitude - one  # zeros wrap to the top and leave the minimum to the others
    largest = np.maximum.reduceat(bits.view(layout.signed), starts).tolist()
    top = np.maximum.reduceat(bits, starts).tolist()
    least = np.minimum.reduceat(bits, starts).tolist()
    smallest = np.minimum.reduceat(wrapped, starts).tolist()
    zero = np.add.reduceat(magnitude == 0, starts, dtype=np.int64).tolist()
    negative = np.add.reduceat(bits > sign, starts, dtype=np.int64).tolist()
    subnormal = np.add.reduceat(wrapped < bits.dtype.type(layout.normal - 1), starts, dtype=np.int64).tolist()
    return [
        Extremes(
            largest=largest[i],
            most_negative=top[i] if top[i] & layout.sign else -1,
            least=least[i],
            smallest=smallest[i] + 1 if smallest[i] < layout.nonfinite else None,
            zero=zero[i],
            negative=negative[i],
            subnormal=subnormal[i],
        )
        for i in range(len(starts))
    ]


def _spread(
    magnitude: Bits, sizes: NDArray[np.int64], layout: Layout
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Exact histograms [k, HISTOGRAM_BINS] and sums of squares [k]."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    nonzero = magnitude != 0
    owner = owner[nonzero]
    bins, squares = spread(magnitude[nonzero], layout)
    counts = np.bincount(owner * HISTOGRAM_BINS + bins, minlength=len(sizes) * HISTOGRAM_BINS)
    sums = np.bincount(owner, weights=squares, minlength=len(sizes)).astype(np.float64, copy=False)
    return counts.reshape(len(sizes), HISTOGRAM_BINS).astype(np.float32), sums
