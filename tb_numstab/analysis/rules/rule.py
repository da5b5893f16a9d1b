"""What a rule is: data, with one vectorised precondition over the columns of an op and its operands."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from tb_numstab.analysis.columns import Columns, Floats, OneRow
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.analysis.limits import limits
from tb_numstab.schema.columns import Row


@dataclass(frozen=True)
class Ops:
    """Some slots in one step, with their operands.

    Attributes:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row.
      slots: int64 [n], the slots looked at.
    """

    graph: OpGraph
    table: Row
    slots: Slots

    @cached_property
    def x(self) -> Columns:
        """Rows of the first operand; of an update, of the old value."""
        return Columns.of(self.table, self.graph.x[self.slots])

    @cached_property
    def y(self) -> Columns:
        """Rows of the second operand; of an update, of the delta."""
        return Columns.of(self.table, self.graph.y[self.slots])

    @cached_property
    def out(self) -> Columns:
        """Rows of the result."""
        return Columns.of(self.table, self.slots)

    @property
    def precision(self) -> Floats:
        """Significand bits of the result's format."""
        return self.graph.precision[self.slots]

    @property
    def max_exp(self) -> Floats:
        """Exponent of the largest finite number of the result's format."""
        return self.graph.max_exp[self.slots]

    @property
    def min_exp(self) -> Floats:
        """Exponent of the smallest normal number of the result's format."""
        return self.graph.min_exp[self.slots]

    def among(self, mask: Mask) -> Mask:
        """Bool [n]: which of the slots are in ``mask``, bool [N]."""
        return mask[self.slots]


class Stage(Enum):
    """When a rule is asked."""

    ORIGIN = "origin"  # about the op where the first harmful NaN or Inf began
    STANDING = "standing"  # about every op in every record


@dataclass(frozen=True)
class Rule:
    """One way an op goes wrong.

    Attributes:
      id: stable name, the anchor in docs/rules.md.
      title: a few words.
      families: families of analysis.families it applies to; () for any op.
      when: Ops of those families -> bool [n].
      precondition: ``when`` in words.
      explain: one sentence with numbers; a format string over ``op``, ``x``, ``y``, ``out``, ``f`` (the
        result's limits).
      fix: what to change.
      source: where the rule comes from.
      stage: when it is asked.
      blame: the operand and property that explain the event one hop back, such as ``"x.zero"``.
      severity, certainty: of its findings.
      patience: consecutive records in which ``when`` must hold.
      once: one finding per session, about the op that shows it most; else one per source line.
    """

    id: str
    title: str
    families: tuple[str, ...]
    when: Callable[[Ops], Mask] = field(repr=False)
    precondition: str
    explain: str
    fix: Fix
    source: str
    stage: Stage = Stage.ORIGIN
    blame: str = ""
    severity: Severity = Severity.ERROR
    certainty: Certainty = Certainty.EVENT
    patience: int = 1
    once: bool = False


def explain(template: str, graph: OpGraph, table: Row, slot: int) -> tuple[str, dict[str, float]]:
    """A template filled in for one slot, and the finite numbers it used, by name."""
    operand = [int(s) for s in (graph.x[slot], graph.y[slot])]
    site = graph.sites[slot]
    x, y = (OneRow(table[s] if s >= 0 else None) for s in operand)
    names = {"op": site.op_type, "x": x, "y": y, "out": OneRow(table[slot]), "f": limits(site.dtype), "site": site}
    formatter = string.Formatter()
    text = formatter.vformat(template, (), names)
    numbers = {}
    for _, name, _, _ in formatter.parse(template):
        value = formatter.get_field(name, (), names)[0] if name else None
        if name and isinstance(value, int | float) and math.isfinite(value):
            numbers[name] = float(value)
    return text, numbers
