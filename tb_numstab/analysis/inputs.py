"""The five IEEE 754 exceptions (7.2-7.6) of every op in one step, from its operands and its result.

Exact where the record counted elements side by side; else derived from the rows, which show that an
event happened but only bound how often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import Role

POLES = ("log", "div", "reciprocal", "rsqrt", "sqrt-grad", "reciprocal-grad", "pow", "log1p", "inverse-trig", "xlogy")
"""Families whose infinite results may be exact: the function has a pole in its finite domain."""


@dataclass(frozen=True)
class Inputs:
    """What the measured inputs of every slot hold, bool [N] each."""

    nan: Mask
    inf: Mask

    @property
    def nonfinite(self) -> Mask:
        """NaN or Inf in at least one input."""
        return self.nan | self.inf


def inputs_of(graph: OpGraph, table: Row) -> Inputs:
    """Which slots have a NaN or an Inf among their inputs, as far as it can be the cause.

    Rows of a loop body combine all iterations: an input that went bad in a later iteration than the
    op itself carries the op's own result, and is left out.
    """
    rows = Columns(table)
    source, target = graph.edge_source, graph.edge_target
    first = rows.first_bad_call
    same_loop = (graph.loop[source] >= 0) & (graph.loop[source] == graph.loop[target])
    counts = ~(same_loop & (first[source] > first[target]))
    with_nan = (rows.nan[source] > 0) & counts
    with_inf = (rows.inf[source] > 0) & counts
    return Inputs(graph.as_mask(target[with_nan]), graph.as_mask(target[with_inf]))


@dataclass(frozen=True)
class Events:
    """Elements with each event, float64 [N]; 0 where the op had none.

    Attributes:
      overflow: finite operands, and a result too large for the format.
      divide_by_zero: an exact infinity from finite operands: 1/0, log(0).
      invalid: NaN from operands without NaN.
      underflow: non-zero operands, zero or subnormal result.
      absorbed: elements of a sum that a non-zero operand did not change (inexact).
      cancelled: most leading bits one element of a sum lost (makes earlier inexactness visible).
    """

    overflow: Floats
    divide_by_zero: Floats
    invalid: Floats
    underflow: Floats
    absorbed: Floats
    cancelled: Floats


def events_of(graph: OpGraph, table: Row) -> Events:
    """The events of every slot in one step."""
    rows, inputs = Columns(table), inputs_of(graph, table)
    operates = ~graph.role(Role.INPUT, Role.CONSTANT, Role.VARIABLE) & ~graph.mask("move", "control", "collective")
    appeared = np.where(operates & ~inputs.nonfinite, _known(rows.inf), 0.0)
    at_pole = graph.mask(*POLES) & _pole_reached(graph, table)
    return Events(
        overflow=np.where(np.isnan(rows.overflow), np.where(at_pole, 0.0, appeared), rows.overflow),
        divide_by_zero=np.where(at_pole & operates & ~inputs.inf, _known(rows.inf), 0.0),
        invalid=np.where(operates & ~inputs.nan, _known(rows.nan), 0.0),
        underflow=_known(rows.underflow),
        absorbed=_known(rows.absorbed),
        cancelled=_known(rows.cancelled),
    )


def _pole_reached(graph: OpGraph, table: Row) -> Mask:
    """Slots whose pole operand holds the value at which the function has its pole."""
    x, y = Columns.of(table, graph.x), Columns.of(table, graph.y)
    reached = x.zero > 0
    divides = graph.mask("div")
    reached[divides] = (y.zero > 0)[divides]
    edge_of_domain = graph.mask("log1p", "inverse-trig")
    reached[edge_of_domain] = (x.magnitude >= 1)[edge_of_domain]
    return reached


def _known(column: Floats) -> Floats:
    return np.where(np.isnan(column), 0.0, column)
