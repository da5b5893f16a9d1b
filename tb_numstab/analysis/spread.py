"""How the magnitudes of every slot spread over a whole session."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.graph import OpGraph, Slots
from tb_numstab.analysis.headroom import grown
from tb_numstab.analysis.origin import has_symptoms
from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.formats import FORMATS, HISTOGRAM_BINS
from tb_numstab.schema.record import StepRecord

AXIS = np.arange(-160, 140)
"""Exponents of Distribution.by_exponent: those of float32, and some beyond for what float64 holds."""

SAMPLED = 4096
"""Elements of a large tensor that its histogram is made of."""

_TOTALS = (
    "size", "zero", "nan", "pos_inf", "neg_inf", "subnormal", "sum_sq", "overflow", "underflow", "absorbed", "operands"
)  # fmt: skip
_TOTAL_COLUMNS = [INDEX[name] for name in _TOTALS]

_BINS = {fmt.name: (fmt.min_subnormal_exp, fmt.bin_width) for fmt in FORMATS.values()}
"""By format: exponent of the first histogram bin, and binades per bin."""

_FULL = 65535 // 255
"""Histograms that fit into a sum of uint16."""


class Spread:
    """Exponent histograms and extremes of every slot, over all records of a session.

    Attributes:
      records: how many records went in.
      broken: how many were left out, for a NaN or Inf in them that does harm.
      largest: float64 [N], the largest finite magnitude.
      max_exp, min_exp: float64 [N], exponents of the largest and the smallest non-zero magnitude.
      bins: float64 [N, 2], exponent of the first histogram bin, and binades per bin.

    Extremes are NaN where a slot was never measured. Literals have theirs from the op table. May be read
    while records are fed.
    """

    def __init__(self) -> None:
        self.records = self.broken = 0
        self.largest = self.max_exp = self.min_exp = np.empty(0)
        self.bins = np.empty((0, 2))
        self._totals = np.empty((0, len(_TOTALS)))
        self._units = np.empty((0, HISTOGRAM_BINS))  # 1/255 of the elements of one record each
        self._measured = np.empty(0)  # records
        self._slots: Slots = np.empty(0, np.int64)
        self._recent: NDArray[np.uint16] = np.empty((0, HISTOGRAM_BINS), np.uint16)  # not in _units yet, of _slots
        self._recent_records = 0
        self._lock = threading.Lock()

    def feed(self, graph: OpGraph, record: StepRecord) -> None:
        """Takes in one record. What follows from a NaN or Inf that does harm means nothing, and is left out."""
        self.reserve(graph)
        known = record.slots < graph.size
        slots, rows = record.slots[known], Columns(record.rows[known])
        if (rows.finite < rows.size).any() and has_symptoms(graph, graph.table(record)):
            self.broken += 1
            return
        self.records += 1
        self._extremes(slots, rows)
        self._totals[slots] += np.nan_to_num(rows.rows[:, _TOTAL_COLUMNS])
        with self._lock:
            if self._recent_records == _FULL or not np.array_equal(slots, self._slots):
                self._settle()
                self._slots, self._recent = slots, np.zeros((len(slots), HISTOGRAM_BINS), np.uint16, order="F")
            self._recent += record.histogram if known.all() else record.histogram[known]
            self._recent_records += 1

    def _settle(self) -> None:
        """Moves the recent histograms to where they belong: consecutive records have the same slots."""
        if self._recent_records:
            self._units[self._slots] += self._recent
            self._measured[self._slots] += self._recent_records
            self._recent, self._recent_records = np.zeros_like(self._recent), 0

    def reserve(self, graph: OpGraph) -> None:
        """Makes room for a grown op table."""
        size, missing = graph.size, graph.size - len(self.largest)
        if missing <= 0:
            return
        self.largest, self.max_exp, self.min_exp = (grown(v, size) for v in (self.largest, self.max_exp, self.min_exp))
        bins = [_BINS.get(site.dtype, _BINS["float32"]) for site in graph.sites[-missing:]]
        self.bins = np.concatenate([self.bins, bins])
        self._measured = np.pad(self._measured, (0, missing))
        self._totals = np.pad(self._totals, ((0, missing), (0, 0)))
        self._units = np.pad(self._units, ((0, missing), (0, 0)))
        literals, rows = graph.constants
        self._extremes(literals, Columns(rows))

    def _extremes(self, slots: Slots, rows: Columns) -> None:
        self.largest[slots] = np.fmax(self.largest[slots], rows.magnitude)
        self.max_exp[slots] = np.fmax(self.max_exp[slots], rows.max_exp)
        self.min_exp[slots] = np.fmin(self.min_exp[slots], rows.min_exp)

    def total(self, name: str) -> Floats:
        """A column added up, float64 [N]; 0 where it was never measured."""
        found: Floats = self._totals[:, _TOTALS.index(name)]
        return found

    def nonzero(self, slots: Slots) -> Floats:
        """Non-zero finite elements, float64 [n]."""
        others = sum(self.total(name)[slots] for name in ("zero", "nan", "pos_inf", "neg_inf"))
        return np.asarray(self.total("size")[slots] - others, np.float64)

    def counts(self, slots: Slots) -> Floats:
        """Non-zero finite elements by the exponent bins of the slot's format, float64 [n, HISTOGRAM_BINS].

        A bin of one unit stands for anything from one sampled element to 1.5 units: the geometric mean of
        the two is taken, lest a tail over many bins look heavy.
        """
        with self._lock:
            self._settle()
        records = np.maximum(self._measured[slots], 1)
        units = self._units[slots] / records[:, None]
        elements = self.nonzero(slots)
        rarest = np.minimum(1, np.sqrt(1.5 * 255 / np.clip(elements / records, 1, SAMPLED)))
        units = np.where(units <= 1, units * rarest[:, None], units)
        whole = units.sum(axis=1, keepdims=True)
        return np.asarray(units * np.divide(elements[:, None], whole, out=np.zeros_like(whole), where=whole > 0))


class Distribution:
    """The spread of some slots as a function of the magnitude.

    A histogram bin is four binades wide in float32. Between its ends the number of elements below a
    magnitude is taken to grow with a power of it, which is exact for elements that are spread evenly. The
    lowest bin begins at the smallest element; the highest ends at the largest, or at twice the root mean
    square if that is less: the largest of many is far from the rest.

    Attributes:
      total: float64 [n], the non-zero elements.
    """

    def __init__(self, spread: Spread, slots: Slots) -> None:
        self._start: Floats = spread.bins[slots, 0]
        self._width: Floats = spread.bins[slots, 1]
        self._below = np.pad(np.cumsum(spread.counts(slots), axis=1), ((0, 0), (1, 0)))
        with np.errstate(divide="ignore", invalid="ignore"):
            twice_rms = np.log2(spread.total("sum_sq")[slots] / spread.nonzero(slots)) / 2 + 1
        self._low, self._high = spread.min_exp[slots], np.fmin(spread.max_exp[slots] + 1, twice_rms)
        self.total: Floats = self._below[:, -1]

    def below(self, exponent: ArrayLike) -> Floats:
        """Elements below 2**exponent, float64 [..., n]; ``exponent`` broadcasts against the slots."""
        wanted = np.add(exponent, np.zeros_like(self._start))
        at = np.clip((wanted - self._start) // self._width, 0, HISTOGRAM_BINS - 1).astype(np.int64)
        low = np.fmax(self._start + at * self._width, self._low)
        high = self._start + (at + 1) * self._width
        high = np.where(self._high > low, np.fmin(high, self._high), high)
        slot = np.arange(len(self._start))
        below, upto = self._below[slot, at], self._below[slot, at + 1]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            lowest = np.fmax(below, upto * np.exp2(low - high))  # where the bin is the first with any
            inside = lowest * (upto / lowest) ** ((wanted - low) / (high - low))
        return np.where(wanted <= low, below, np.where(wanted >= high, upto, np.nan_to_num(inside)))

    def by_exponent(self) -> Floats:
        """Elements by exponent, float64 [n, len(AXIS)]; what lies beyond the axis is in its end columns."""
        edges = self.below(AXIS[1:, None]).T
        return np.diff(np.pad(edges, ((0, 0), (1, 0))), axis=1, append=self.total[:, None])
