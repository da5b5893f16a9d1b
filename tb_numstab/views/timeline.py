"""The exponents and marks of every slot over a session, small enough to keep for a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.record import StepRecord

ABSENT = -32768
"""An exponent of a slot that was not measured, or that held no finite non-zero element."""

MAX_CELLS = 16_000_000
"""Slots x columns kept, at CELL_BYTES each; in longer runs neighbouring records share a column."""

CELL_BYTES = 5
"""Two int16 and a uint8."""

MEASURED, NAN, INF, OVERFLOW, UNDERFLOW, SUBNORMAL, ABSORBED = (1 << i for i in range(7))

_COUNTED = (
    (MEASURED, "size"),
    (NAN, "nan"),
    (INF, "pos_inf"),
    (INF, "neg_inf"),
    (OVERFLOW, "overflow"),
    (UNDERFLOW, "underflow"),
    (SUBNORMAL, "subnormal"),
)
"""Marks that one element is enough for."""

ABSORBED_SHARE = 0.5
"""Sums lose some small operands all the time: ABSORBED marks those that lose at least this share."""


@dataclass
class Column:
    """One or more consecutive records.

    Attributes:
      first_step, last_step: the records it covers.
      max_exp, min_exp: int16 [slots known at that time], ABSENT where there is none.
      marks: uint8 [slots], the union of MEASURED, NAN and so on.
    """

    first_step: int
    last_step: int
    max_exp: NDArray[np.int16]
    min_exp: NDArray[np.int16]
    marks: NDArray[np.uint8]

    def at(self, slots: NDArray[np.intp]) -> Column:
        """The same for some slots, in their order; those that were not known at that time are ABSENT."""
        known = slots < len(self.marks)
        if known.all():
            return Column(self.first_step, self.last_step, self.max_exp[slots], self.min_exp[slots], self.marks[slots])
        max_exp, min_exp = np.full((2, len(slots)), ABSENT, np.int16)
        marks = np.zeros(len(slots), np.uint8)
        max_exp[known], min_exp[known] = self.max_exp[slots[known]], self.min_exp[slots[known]]
        marks[known] = self.marks[slots[known]]
        return Column(self.first_step, self.last_step, max_exp, min_exp, marks)


class Timeline:
    """Largest and smallest exponent and the marks of each slot, column by column in step order.

    Where a column covers several records it holds their extremes and the union of their marks, so
    that no event is lost.
    """

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self._records = 0
        self._records_per_column = 1

    @property
    def nbytes(self) -> int:
        """How many bytes of memory the columns take; all count as wide as the last one."""
        return CELL_BYTES * len(self.columns) * (len(self.columns[-1].marks) if self.columns else 0)

    def feed(self, record: StepRecord, slots: int) -> None:
        """Takes in the next record of a session whose op table has that many slots."""
        self._append(_column(record, slots))
        self._records += 1
        if len(self.columns) * slots > MAX_CELLS:
            self._halve()

    def copy(self) -> Timeline:
        """The timeline as it is now; columns are never changed, only replaced."""
        copy = Timeline()
        copy.columns, copy._records, copy._records_per_column = (
            list(self.columns),
            self._records,
            self._records_per_column,
        )
        return copy

    def _append(self, column: Column) -> None:
        index = self._records // self._records_per_column
        if index < len(self.columns):
            self.columns[index] = _merge(self.columns[index], column)
        else:
            self.columns.append(column)

    def _halve(self) -> None:
        pairs = (self.columns[i : i + 2] for i in range(0, len(self.columns), 2))
        self.columns = [_merge(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        self._records_per_column *= 2


def _column(record: StepRecord, count: int) -> Column:
    known = record.slots < count
    slots = record.slots[known]

    def exponents(name: str) -> NDArray[np.int16]:
        values = record.column(name)[known]
        out = np.full(count, ABSENT, np.int16)
        out[slots] = np.where(np.isnan(values), ABSENT, values)
        return out

    marks = np.zeros(count, np.uint8)
    for bit, name in _COUNTED:
        marks[slots[record.column(name)[known] > 0]] |= bit
    absorbed, operands = record.column("absorbed")[known], record.column("operands")[known]
    marks[slots[(absorbed > 0) & (absorbed >= ABSORBED_SHARE * operands)]] |= ABSORBED
    return Column(record.step, record.step, exponents("max_exp"), exponents("min_exp"), marks)


def bundled(columns: Sequence[Column], count: int) -> list[Sequence[Column]]:
    """All columns in order, in at most ``count`` bundles of neighbours, as even as can be."""
    edges = np.linspace(0, len(columns), min(count, len(columns)) + 1).astype(int)
    return [columns[first:end] for first, end in pairwise(edges)]


def merged(columns: Sequence[Column]) -> Column:
    """Neighbouring columns as one."""
    return reduce(_merge, columns)


def _merge(a: Column, b: Column) -> Column:
    """Two neighbouring columns as one; ``b`` may know more slots than ``a``."""
    if len(a.marks) < len(b.marks):
        a = a.at(np.arange(len(b.marks)))
    smallest = np.minimum(a.min_exp, b.min_exp)
    smallest = np.where(smallest != ABSENT, smallest, np.maximum(a.min_exp, b.min_exp))
    # ABSENT is below every exponent, so the larger of the two is right as it stands.
    return Column(a.first_step, b.last_step, np.maximum(a.max_exp, b.max_exp), smallest, a.marks | b.marks)
