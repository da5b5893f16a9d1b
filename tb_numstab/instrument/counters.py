"""One row per tensor: lean integer passes over the bits of host arrays (see bits.py).

A pass over ten elements costs as much as one over ten thousand, and most tensors of a step are small: biases,
scalars, the states of a recurrent cell. Small tensors are laid end to end and share their passes; so do the
samples of large ones.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.bits import Array, Bits, Layout, bits_of, exponents_of, layout_of, magnitude_of, values_of
from tb_numstab.instrument.samples import SAMPLE, Histograms, spread, starts_of, stride_of
from tb_numstab.schema.columns import INDEX, Row, empty_rows
from tb_numstab.schema.formats import HISTOGRAM_BINS

CHUNK = 1 << 16
"""Elements per pass: a chunk and its scratch stay in a core's second-level cache."""

COUNTS = ("zero", "subnormal", "negative", "nan", "pos_inf", "neg_inf")

SEEN = np.dtype([(name, np.uint64) for name in ("min", "max", "smallest", *COUNTS)])
"""What the passes find in a tensor: extremes of its finite elements as bit patterns, the last of them the smallest
non-zero magnitude (0 without one), and element counts."""

Seen = NDArray[np.void]

_COUNTS = [INDEX[name] for name in COUNTS]
_NONFINITE = [INDEX[name] for name in ("nan", "pos_inf", "neg_inf")]


def measure(array: Array) -> tuple[Row, Histograms]:
    """The counters of one tensor, as measure_all; row [WIDTH] and histogram [HISTOGRAM_BINS]."""
    rows, histograms = measure_all([array])
    return rows[0], histograms[0]


def measure_all(arrays: Sequence[Array]) -> tuple[Row, Histograms]:
    """The counters of k tensors.

    Args:
      arrays: any shapes, in any of schema.formats.FORMATS; read only.

    Returns:
      rows: float64 [k, WIDTH], columns of op-level events absent.
      histograms: float32 [k, HISTOGRAM_BINS], sampled non-zero finite elements per exponent bin.
    """
    rows, histograms = empty_rows(len(arrays)), np.zeros((len(arrays), HISTOGRAM_BINS), np.float32)
    rows[:, INDEX["size"]] = rows[:, INDEX["inspected"]] = [a.size for a in arrays]
    rows[:, INDEX["calls"]] = 1
    rows[:, _COUNTS] = 0
    by_format: dict[np.dtype[np.generic], list[int]] = {}
    for index in sorted(range(len(arrays)), key=lambda i: arrays[i].size):
        if arrays[index].size:
            by_format.setdefault(arrays[index].dtype, []).append(index)
    for dtype, indices in by_format.items():
        flat = [bits_of(arrays[i].reshape(-1)) for i in indices]
        rows[indices], histograms[indices] = _measure(flat, rows[indices], layout_of(dtype))
    return rows, histograms


def _measure(flat: list[Bits], rows: Row, layout: Layout) -> tuple[Row, Histograms]:
    """Fills the rows of flat non-empty tensors of one format, the smaller ones first."""
    sizes = np.array([len(bits) for bits in flat])
    samples = [bits[:: stride_of(len(bits))] for bits in flat]
    lengths = np.array([len(sample) for sample in samples])
    end_to_end = np.concatenate(samples)
    small = int(np.searchsorted(sizes, SAMPLE, side="right"))
    seen = np.zeros(len(flat), SEEN)
    seen[:small] = _seen_together(end_to_end[: sizes[:small].sum()], sizes[:small], layout)
    for index in (*np.flatnonzero(seen["nan"]), *range(small, len(flat))):
        seen[index] = _seen(flat[index], layout)
    finite = _fill(rows, seen, layout)
    histograms, sums = spread(end_to_end, lengths, layout)
    rows[:, INDEX["sum_sq"]] = np.where(finite, sums * (sizes / lengths), np.nan)
    return rows, histograms


def _seen_together(bits: Bits, sizes: NDArray[np.int64], layout: Layout) -> Seen:
    """What the passes find in small tensors laid end to end; non-finite elements are all counted as NaN."""
    seen = np.zeros(len(sizes), SEEN)
    if not len(sizes):
        return seen
    starts, signed, magnitude = starts_of(sizes), bits.view(layout.signed), magnitude_of(bits, layout)
    wrapped = magnitude - magnitude.dtype.type(1)  # zeros wrap to the top and leave the minimum to the others
    u_max, s_max = np.maximum.reduceat(bits, starts), np.maximum.reduceat(signed, starts)
    seen["min"] = np.where(u_max >= layout.sign, u_max, np.minimum.reduceat(bits, starts))
    seen["max"] = np.where(s_max >= 0, s_max, np.minimum.reduceat(signed, starts)).view(layout.unsigned)
    seen["smallest"] = np.minimum.reduceat(wrapped, starts) + wrapped.dtype.type(1)
    for name, found in (
        ("zero", magnitude == 0),
        ("subnormal", wrapped < layout.normal - 1),
        ("negative", bits > layout.sign),  # -0 is not below zero
        ("nan", magnitude >= layout.nonfinite),
    ):
        if found.any():
            seen[name] = np.add.reduceat(found, starts, dtype=np.int64)
    return seen


def _seen(bits: Bits, layout: Layout) -> tuple[int, ...]:
    """What the passes find in one tensor, chunk by chunk."""
    scan = _Scan(layout)
    for start in range(0, len(bits), CHUNK):
        scan.add(bits[start : start + CHUNK])
    return scan.seen()


@dataclass
class _Scan:
    """Running extremes of the finite elements of one tensor, and counts.

    As unsigned integers the patterns of negative numbers come last, as signed ones first; both times those
    of large magnitude come after those of small magnitude.
    """

    layout: Layout
    u_min: int = 1 << 64
    u_max: int = -1
    s_min: int = 1 << 63
    s_max: int = -1 << 63
    smallest: int = 1 << 64  # non-zero magnitude
    zero: int = 0
    subnormal: int = 0
    negative: int = 0
    nan: int = 0
    pos_inf: int = 0
    neg_inf: int = 0

    def add(self, bits: Bits) -> None:
        """Adds a chunk: two integer passes over non-negative numbers, five over any others, three more for zeros."""
        layout, signed, negative = self.layout, bits.view(self.layout.signed), False
        u_max = s_max = int(np.maximum.reduce(bits))
        if u_max >= layout.sign:
            negative, s_max = True, int(np.maximum.reduce(signed))
        if s_max >= layout.nonfinite or u_max - layout.sign >= layout.nonfinite:
            finite = self._take_nonfinite(bits)
            if len(finite):
                self.add(finite)
            return
        u_min = s_min = int(np.minimum.reduce(bits))
        if negative:
            s_min = int(np.minimum.reduce(signed))
            self.negative += int(np.count_nonzero(bits > bits.dtype.type(layout.sign)))  # -0 is not below zero
        self.u_min, self.u_max = min(self.u_min, u_min), max(self.u_max, u_max)
        self.s_min, self.s_max = min(self.s_min, s_min), max(self.s_max, s_max)
        smallest = min(u_min & (layout.sign - 1), s_min & (layout.sign - 1))
        if smallest < layout.normal:
            smallest = self._take_below_normal(bits, negative)
        self.smallest = min(self.smallest, smallest)

    def _take_nonfinite(self, bits: Bits) -> Bits:
        """Counts NaN and Inf of a chunk; returns its finite elements."""
        bad = magnitude_of(bits, self.layout) >= self.layout.nonfinite
        patterns = bits[bad]
        infinite, negative = magnitude_of(patterns, self.layout) == self.layout.infinity, patterns >= self.layout.sign
        self.pos_inf += int(np.count_nonzero(infinite & ~negative))
        self.neg_inf += int(np.count_nonzero(infinite & negative))
        self.nan += len(patterns) - int(np.count_nonzero(infinite))
        return bits[~bad]

    def _take_below_normal(self, bits: Bits, negative: bool) -> int:
        """Counts zeros and subnormals of a finite chunk; returns its smallest non-zero magnitude."""
        layout, scratch, of = self.layout, _scratch(bits), bits.dtype.type
        magnitude = np.bitwise_and(bits, of(layout.sign - 1), out=scratch) if negative else bits
        # Zeros wrap to the top and leave the minimum to the others.
        wrapped = np.subtract(magnitude, of(1), out=scratch)
        smallest = int(np.minimum.reduce(wrapped)) + 1
        self.zero += int(np.count_nonzero(wrapped >= of(layout.sign)))
        if smallest < layout.normal:
            self.subnormal += int(np.count_nonzero(wrapped < of(layout.normal - 1)))
        return smallest

    def seen(self) -> tuple[int, ...]:
        """The fields of SEEN."""
        sign, counts = self.layout.sign, (getattr(self, name) for name in COUNTS)
        if self.u_max < 0:
            return 0, 0, 0, *counts  # no finite element
        # The extreme on the side of a missing sign is the number closest to zero.
        least = self.u_max if self.u_max >= sign else self.u_min
        greatest = self.s_max if self.s_max >= 0 else self.s_min + 2 * sign
        return least, greatest, self.smallest if self.smallest < sign else 0, *counts


_thread = threading.local()


def _scratch(bits: Bits) -> Bits:
    """This thread's scratch for one chunk: allocating one for each pass would cost more than the pass."""
    buffer = getattr(_thread, "buffer", None)
    if buffer is None:
        buffer = _thread.buffer = np.empty(CHUNK * 8, np.uint8)
    part: Bits = buffer[: bits.nbytes].view(bits.dtype)
    return part


def _fill(rows: Row, seen: Seen, layout: Layout) -> NDArray[np.bool_]:
    """Writes what the passes found into rows; returns which tensors have finite elements."""
    for name in COUNTS:
        rows[:, INDEX[name]] = seen[name]
    rows[:, INDEX["negative"]] += rows[:, INDEX["neg_inf"]]
    bad = rows[:, _NONFINITE].sum(axis=1)
    rows[bad > 0, INDEX["first_bad_call"]] = 0
    finite: NDArray[np.bool_] = bad < rows[:, INDEX["size"]]
    largest = np.zeros(len(rows), layout.unsigned)
    for name in ("min", "max"):
        patterns = seen[name].astype(layout.unsigned)
        magnitude = magnitude_of(patterns, layout)
        values = np.where(patterns >= layout.sign, -1.0, 1.0) * values_of(magnitude, layout)
        rows[:, INDEX[name]] = np.where(finite, values, np.nan)
        largest = np.maximum(largest, magnitude)
    known = seen["smallest"] > 0
    for name, extreme in (("max_exp", largest), ("min_exp", seen["smallest"].astype(layout.unsigned))):
        rows[known, INDEX[name]] = exponents_of(extreme[known], layout) + float(layout.fmt.min_subnormal_exp)
    return finite
