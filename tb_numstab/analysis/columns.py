"""Rows by the names of their columns: ``x.zero`` instead of ``rows[:, INDEX["zero"]]``."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tb_numstab.analysis.graph import Slots
from tb_numstab.schema.columns import INDEX, WIDTH, Row

Floats = NDArray[np.float64]

_ABSENT = np.full(WIDTH, np.nan)


class Pick:
    """Which slots to look at, int64 [n]; -1 for one that was not measured. Kept by those who ask at every record."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots

    @cached_property
    def absent(self) -> Slots:
        """Where -1 stands."""
        return np.flatnonzero(self.slots < 0)


class Columns:
    """Rows of some slots; every column of schema.columns.COLUMNS is an attribute, float64 [n]."""

    def __init__(self, rows: Row, pick: Pick | None = None) -> None:
        self.rows = rows
        self._pick = pick

    @classmethod
    def of(cls, table: Row, slots: Slots | Pick) -> Columns:
        """The rows of ``slots``; absent for slot -1."""
        return cls(table, slots if isinstance(slots, Pick) else Pick(slots))

    def __getattr__(self, name: str) -> Floats:
        try:
            values = self.rows[:, INDEX[name]]
        except KeyError:
            raise AttributeError(name) from None
        if self._pick is not None:
            # Gathered when asked for: a rule looks at few of the columns, and there are many slots.
            values = values.take(self._pick.slots)
            if len(self._pick.absent):
                values[self._pick.absent] = np.nan
            setattr(self, name, values)
        return values

    @cached_property
    def inf(self) -> Floats:
        """Infinite elements of either sign."""
        return self.pos_inf + self.neg_inf

    @cached_property
    def finite(self) -> Floats:
        """Elements that are neither NaN nor infinite."""
        return self.size - self.nan - self.inf

    @cached_property
    def nonzero(self) -> Floats:
        """Finite elements other than zero."""
        return self.finite - self.zero

    @cached_property
    def exact(self) -> NDArray[np.bool_]:
        """Whether every element was looked at, rather than a sample."""
        return np.asarray(~(self.inspected < self.size))

    @cached_property
    def upper_exp(self) -> Floats:
        """An exponent that no element exceeds; NaN where that is not known."""
        return np.where(self.exact & (self.nan + self.inf == 0), self.max_exp, np.nan)

    @cached_property
    def lower_exp(self) -> Floats:
        """An exponent that no element falls below; NaN where that is not known, or some element is 0."""
        return np.where(self.exact & (self.zero == 0) & (self.nan + self.inf == 0), self.min_exp, np.nan)

    @cached_property
    def magnitude(self) -> Floats:
        """The largest finite magnitude."""
        return np.maximum(np.abs(self.min), np.abs(self.max))

    @cached_property
    def rms(self) -> Floats:
        """Root mean square of the finite elements."""
        return np.asarray(np.sqrt(self.sum_sq / self.finite), np.float64)

    @cached_property
    def spread(self) -> Floats:
        """Largest minus smallest finite element."""
        with np.errstate(over="ignore"):
            return self.max - self.min


class Power(float):
    """An exponent that prints as the power of two it stands for; -inf, of values that are all 0, as 0."""

    def __format__(self, spec: str) -> str:
        if math.isnan(self):
            return "an unmeasured size"
        return f"2^{float(self):.0f}" if math.isfinite(self) else "0"


class OneRow:
    """One slot's row for a sentence: every column, and every property of Columns, as a float."""

    def __init__(self, row: Row | None) -> None:
        self._columns = Columns((_ABSENT if row is None else row)[None, :])

    def __getattr__(self, name: str) -> float:
        return float(getattr(self._columns, name)[0])

    @property
    def top(self) -> Power:
        """The binade of the largest finite magnitude."""
        return Power(self.max_exp)

    @property
    def nonfinite(self) -> str:
        """Where the row holds NaN and where Inf, of how many: "NaN in 1 of 120 elements"."""
        counts = (("NaN", self.nan), ("Inf", self.inf))
        return (
            " and ".join(f"{kind} in {count:,.0f}" for kind, count in counts if count)
            + f" of {self.size:,.0f} elements"
        )

    @property
    def extent(self) -> str:
        """The smallest and the largest finite element; one number where they are equal."""
        low, high = f"{self.min:.4g}", f"{self.max:.4g}"
        return low if low == high else f"{low} to {high}"

    @property
    def bottom(self) -> Power:
        """The binade of the smallest non-zero finite magnitude."""
        return Power(self.min_exp)
