"""Rows on the host: what the sinks of one measured run hand in, combined per slot."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.bits import Array
from tb_numstab.instrument.counters import measure_all
from tb_numstab.instrument.op_types import is_update
from tb_numstab.instrument.operands import Op, count_events, count_update
from tb_numstab.instrument.samples import SAMPLE, Histograms, sampled
from tb_numstab.schema.columns import COLUMNS, INDEX, Combine, Row, combine, empty_rows
from tb_numstab.schema.formats import HISTOGRAM_BINS

ESTIMATE_FROM = 4 * SAMPLE
"""Elements from which a sample is much cheaper than a full pass."""

LOOP_DENSE = 8
"""Runs of a loop's body measured at the start, and the distance of those measured later."""

EXTENSIVE = np.array([c.combine is Combine.ADD and c.name not in ("calls", "inspected") for c in COLUMNS])
"""Columns that grow with the number of elements."""


@dataclass(frozen=True)
class Update:
    """How a sink finds the value a variable had before its update.

    Attributes:
      handle: id of the variable's resource handle.
      keep: the variable may be updated again in this run, so its new value must be kept.
    """

    handle: int
    keep: bool


@dataclass(frozen=True)
class Entry:
    """One slot measured by a sink; numbers index the tensors that the sink receives.

    Attributes:
      slot: where the row goes.
      op_type: decides which op-level events can be counted.
      tensor: the measured tensor.
      operands: the op's operands for op-level events; empty when those are not counted.
      update: for a variable update, where the old value is; operands then holds the delta.
      estimate: a large tensor may be judged by a sample, see Collector.exact.
    """

    slot: int
    op_type: str
    tensor: int
    operands: tuple[int, ...] = ()
    update: Update | None = None
    estimate: bool = False


class Work(NamedTuple):
    """A tensor on the host, or a sample of it.

    Attributes:
      slot: where the row goes.
      op_type: the op that made it.
      array: the tensor's elements.
      operands: the op's operands for op-level events; of an update the old value and the delta.
      share: of the tensor's elements in ``array``.
    """

    slot: int
    op_type: str
    array: Array
    operands: Sequence[Array] = ()
    share: float = 1.0


@dataclass
class _Loop:
    """Which runs of a loop's body are measured when not all are: the first ones, then some."""

    entries: tuple[Entry, ...]
    runs: int = 0
    measured: int = 0

    def measures(self) -> bool:
        """Counts one run; whether it is to be measured."""
        updates = any(entry.update is not None for entry in self.entries)
        chosen = updates or self.runs < LOOP_DENSE or self.runs % LOOP_DENSE == 0
        self.runs += 1
        self.measured += chosen
        return chosen


@dataclass
class Rows:
    """The measurements of one run: rows by slot, histogram counts by slot."""

    rows: Row
    histogram: Histograms

    @classmethod
    def empty(cls, count: int) -> Rows:
        """Of slots that are not measured yet."""
        return cls(empty_rows(count), np.zeros((count, HISTOGRAM_BINS), np.float32))

    def resized(self, count: int) -> Rows:
        """A copy for ``count`` slots: the first ones, or more that are not measured yet."""
        resized, common = Rows.empty(count), min(count, len(self.rows))
        resized.rows[:common], resized.histogram[:common] = self.rows[:common], self.histogram[:common]
        return resized

    def nonfinite(self) -> NDArray[np.bool_]:
        """Bool [n]: which slots hold NaN or Inf."""
        counts = self.rows[:, [INDEX[name] for name in ("nan", "pos_inf", "neg_inf")]]
        found: NDArray[np.bool_] = np.greater(counts.max(axis=1), 0)
        return found

    def quantized(self) -> NDArray[np.uint8]:
        """Histogram shares in units of 1/255; a bin that holds anything is at least 1."""
        total = self.histogram.sum(axis=1, keepdims=True)
        share = np.divide(self.histogram, total, out=np.zeros_like(self.histogram), where=total > 0)
        units: NDArray[np.uint8] = np.maximum(np.rint(share * 255), self.histogram > 0).astype(np.uint8)
        return units


@dataclass
class Collector:
    """Receives rows from sinks, in any thread; never raises into the training step.

    Attributes:
      exact: measure every element of every tensor. Otherwise the large tensors between gradients and
        updates, most of all elements in a small model, are judged by a sample, and so are the later
        runs of a loop's body; what happens to a trained variable is counted exactly all the same.
      old_values: value of each variable before the run, by id of its resource handle.
      problem: the first exception in a sink.
    """

    exact: bool = True
    old_values: dict[int, Array] = field(default_factory=dict)
    problem: Exception | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _table: Rows = field(default_factory=lambda: Rows.empty(0))
    _loops: dict[int, _Loop] = field(default_factory=dict)

    def sink(self, entries: tuple[Entry, ...], tensors: tuple[Array, ...], looped: bool = False) -> None:
        """Measures the entries of one bucket; ``looped`` if it belongs to a loop's body."""
        try:
            if looped and not self.exact and not self._loops.setdefault(id(entries), _Loop(entries)).measures():
                return
            self.measure([self._work(entry, tensors) for entry in entries])
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self.problem = self.problem or error

    def _work(self, entry: Entry, tensors: tuple[Array, ...]) -> Work:
        array, operands = tensors[entry.tensor], [tensors[i] for i in entry.operands]
        if entry.update is not None:
            old = self.old_values.get(entry.update.handle)
            operands = [old, *operands] if operands and old is not None and old.shape == array.shape else []
            if entry.update.keep:
                self.old_values[entry.update.handle] = array.copy()
        if not entry.estimate or self.exact or array.size <= ESTIMATE_FROM:
            return Work(entry.slot, entry.op_type, array, operands)
        part, operands = sampled(array, operands)
        return Work(entry.slot, entry.op_type, part, operands, part.size / array.size)

    def measure(self, work: Sequence[Work]) -> None:
        """Measures and adds tensors, each of a slot of its own."""
        rows, histograms = measure_all([w.array for w in work])
        seen = {i: w for i, w in enumerate(work) if w.operands}
        count_events(rows, {i: Op(w.op_type, w.array, w.operands) for i, w in seen.items() if not is_update(w.op_type)})
        for i, w in seen.items():
            if is_update(w.op_type):
                count_update(rows[i], w.array, w.operands)
        rows[:, EXTENSIVE] /= np.array([[w.share] for w in work])
        self._add(np.array([w.slot for w in work]), rows, histograms)

    def _add(self, slots: NDArray[np.int64], rows: Row, histograms: Histograms) -> None:
        """Adds one partial row to each of some slots."""
        with self._lock:
            if slots.max() >= len(self._table.rows):
                self._table = self._table.resized(2 * int(slots.max()) + 1)
            earlier = self._table.rows[slots]
            runs = earlier[:, INDEX["calls"]]
            if not np.isnan(runs).all():
                rows[:, INDEX["first_bad_call"]] += np.nan_to_num(runs)
                rows = combine(earlier, rows)
            self._table.rows[slots] = rows
            self._table.histogram[slots] += histograms

    def finish(self, count: int) -> Rows:
        """The combined rows of slots 0..count-1; rows of slots that did not run stay absent."""
        result = self._table.resized(count)
        for loop in self._loops.values():
            slots = np.array([entry.slot for entry in loop.entries])
            result.rows[slots[:, None], np.flatnonzero(EXTENSIVE)] *= loop.runs / loop.measured
            result.rows[slots, INDEX["calls"]] *= loop.runs / loop.measured
        return result
