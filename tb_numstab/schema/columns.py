"""The one table of counters: what a row of measurements holds for one slot at one step.

A row is a float64 vector in the order of COLUMNS. Counts stay exact up to 2**53. An absent value
(no finite element, or a quantity that the op does not have) is NaN. When an op runs several times
in one step (a loop body, several replicas) its partial rows combine column by column.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]


class Combine(Enum):
    """How two partial values of one column become one; all ignore absent (NaN) values."""

    ADD = "add"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True)
class Column:
    """One counter.

    Attributes:
      name: identifier, the key of ``StepRecord.columns``.
      unit: what is counted, or ``"exponent"`` (floor log2), ``"value"``, ``"bits"``.
      combine: how partial rows of one step combine.
      about: what it means, in one sentence.
    """

    name: str
    unit: str
    combine: Combine
    about: str


_ADD, _MIN, _MAX = Combine.ADD, Combine.MIN, Combine.MAX

COLUMNS: tuple[Column, ...] = (
    Column("size", "elements", _ADD, "Elements measured."),
    Column("nan", "elements", _ADD, "NaN elements."),
    Column("pos_inf", "elements", _ADD, "+Inf elements."),
    Column("neg_inf", "elements", _ADD, "-Inf elements."),
    Column("zero", "elements", _ADD, "Elements equal to +0 or -0."),
    Column("subnormal", "elements", _ADD, "Non-zero elements below the smallest normal number."),
    Column("negative", "elements", _ADD, "Elements below zero, -Inf included."),
    Column("max_exp", "exponent", _MAX, "floor(log2) of the largest finite magnitude."),
    Column("min_exp", "exponent", _MIN, "floor(log2) of the smallest non-zero finite magnitude."),
    Column("min", "value", _MIN, "Smallest finite element, signed."),
    Column("max", "value", _MAX, "Largest finite element, signed."),
    Column("sum_sq", "value", _ADD, "Sum of squares of the finite elements, estimated from the sample."),
    Column("overflow", "elements", _ADD, "Elements with finite operands and a result non-finite by magnitude alone."),
    Column("underflow", "elements", _ADD, "Elements with non-zero operands and a zero or subnormal result."),
    Column(
        "absorbed",
        "elements",
        _ADD,
        "Elements of a sum (or update) that one non-zero operand left unchanged; of a large sum estimated from a "
        "sample, unless a quarter of that is absorbed.",
    ),
    Column("operands", "elements", _ADD, "Both-non-zero elements of a sum (or update); absorbed is a share of these."),
    Column(
        "cancelled",
        "bits",
        _MAX,
        "Most leading bits lost by an element of a sum: operand - result exponent; of a large sum that of a sample.",
    ),
    Column("calls", "calls", _ADD, "How often the op ran in this step."),
    Column("first_bad_call", "calls", _MIN, "0-based run of the op in this step that first gave NaN or Inf."),
    Column(
        "inspected", "elements", _ADD, "Elements looked at; fewer than size where counts are estimated from a sample."
    ),
)

INDEX: dict[str, int] = {c.name: i for i, c in enumerate(COLUMNS)}
WIDTH = len(COLUMNS)

_MINS = np.array([c.combine is _MIN for c in COLUMNS])
_MAXS = np.array([c.combine is _MAX for c in COLUMNS])


def empty_rows(count: int) -> Row:
    """Rows of slots not measured yet, float64 [count, WIDTH], all absent."""
    return np.full((count, WIDTH), np.nan)


def combine(a: Row, b: Row) -> Row:
    """Two partial rows (or [n, WIDTH] tables) of the same slots as one; NaN means absent.

    Associative and commutative, with an all-NaN row as identity.
    """
    out = np.where(np.isnan(a), b, np.where(np.isnan(b), a, a + b))
    out[..., _MINS] = np.fmin(a, b)[..., _MINS]
    out[..., _MAXS] = np.fmax(a, b)[..., _MAXS]
    return out


__all__ = ["COLUMNS", "INDEX", "WIDTH", "Column", "Combine", "Row", "combine", "empty_rows"]
