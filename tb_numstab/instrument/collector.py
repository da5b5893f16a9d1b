"""Rows on the host: what the sinks of one measured run hand in, combined per slot."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.counters import SAMPLE
from tb_numstab.instrument.operands import Array, count_events, count_update, sampled
from tb_numstab.instrument.small_tensors import measure_all
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
    histogram: NDArray[np.float32]

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
    _rows: dict[int, list[Row]] = field(default_factory=dict)
    _histograms: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _loops: dict[int, _Loop] = field(default_factory=dict)

    def sink(self, entries: tuple[Entry, ...], tensors: tuple[Array, ...], looped: bool = False) -> None:
        """Measures the entries of one bucket; ``looped`` if it belongs to a loop's body."""
        try:
            if looped and not self.exact and not self._loops.setdefault(id(entries), _Loop(entries)).measures():
                return
            work = [self._work(entry, tensors) for entry in entries]
            for (entry, array, operands, share), (row, histogram) in zip(
                work, measure_all([array for _, array, _, _ in work]), strict=True
            ):
                if operands and entry.update is None:
                    count_events(entry.op_type, row, array, operands)
                elif operands:
                    count_update(row, array, operands)
                if share < 1:
                    row[EXTENSIVE] /= share
                self.add(entry.slot, row, histogram)
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self.problem = self.problem or error

    def _work(self, entry: Entry, tensors: tuple[Array, ...]) -> tuple[Entry, Array, list[Array], float]:
        """What to measure for an entry: array, operands, and which share of the tensor they are."""
        array, operands = tensors[entry.tensor], self._operands(entry, tensors)
        if not entry.estimate or self.exact or array.size <= ESTIMATE_FROM:
            return entry, array, operands, 1.0
        part, operands = sampled(array, operands)
        return entry, part, operands, part.size / array.size

    def _operands(self, entry: Entry, tensors: tuple[Array, ...]) -> list[Array]:
        operands = [tensors[i] for i in entry.operands]
        if entry.update is None:
            return operands
        new, old = tensors[entry.tensor], self.old_values.get(entry.update.handle)
        if entry.update.keep:
            self.old_values[entry.update.handle] = new.copy()
        return [old, *operands] if operands and old is not None and old.shape == new.shape else []

    def add(self, slot: int, row: Row, histogram: NDArray[np.float32]) -> None:
        """Adds one partial row."""
        with self._lock:
            partial = self._rows.setdefault(slot, [])
            if not np.isnan(row[INDEX["first_bad_call"]]):
                row[INDEX["first_bad_call"]] = len(partial)
            partial.append(row)
            if slot in self._histograms:
                self._histograms[slot] += histogram
            else:
                self._histograms[slot] = histogram

    def finish(self, count: int) -> Rows:
        """The combined rows of slots 0..count-1; rows of slots that did not run stay absent."""
        rows, histogram = empty_rows(count), np.zeros((count, HISTOGRAM_BINS), np.float32)
        for slot, partial in self._rows.items():
            rows[slot] = combine_all(np.stack(partial)) if len(partial) > 1 else partial[0]
            histogram[slot] = self._histograms[slot]
        for loop in self._loops.values():
            slots = np.array([entry.slot for entry in loop.entries])
            rows[slots[:, None], np.flatnonzero(EXTENSIVE)] *= loop.runs / loop.measured
            rows[slots, INDEX["calls"]] *= loop.runs / loop.measured
        return Rows(rows, histogram)


def combine_all(rows: Row) -> Row:
    """Any number of partial rows of one slot, [k, WIDTH] with k >= 1, as one."""
    while len(rows) > 1:  # pairwise, so that each pass is one vectorised combine
        half = len(rows) // 2
        rows = np.concatenate([combine(rows[:half], rows[half : 2 * half]), rows[2 * half :]])
    combined: Row = rows[0]
    return combined
