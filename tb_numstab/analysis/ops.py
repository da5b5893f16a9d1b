"""Some slots in one step with their operands: what a rule's precondition looks at."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import TypeVar, cast

import numpy as np

from tb_numstab.analysis.anatomy import Anatomy
from tb_numstab.analysis.columns import Columns, Floats, OneRow, Pick
from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.analysis.limits import limits
from tb_numstab.analysis.memory import Memory
from tb_numstab.analysis.narrate import op_name, variable_name
from tb_numstab.schema.columns import Row
from tb_numstab.schema.formats import FORMATS

_T = TypeVar("_T")


class Scope:
    """Some slots with their operands: what the op table alone says about them, the same in every record.

    Attributes:
      graph: the op table.
      slots: int64 [n], the slots looked at.
      x, y: their operands. Of a variable update x is the old value and y the change.
      out: where the result was measured: the slots themselves, but for ``v.assign(v + d)`` the sum.
    """

    def __init__(self, graph: OpGraph, slots: Slots, x: Slots, y: Slots, out: Slots) -> None:
        self.graph = graph
        self.slots = slots
        self.x, self.y, self.out = Pick(x), Pick(y), Pick(out)
        self._facts: dict[object, object] = {}

    @classmethod
    def of(cls, graph: OpGraph, slots: Slots) -> Scope:
        """Any slots with their own operands."""
        return cls(graph, slots, graph.x[slots], graph.y[slots], slots)

    @classmethod
    def updates(cls, graph: OpGraph) -> Scope:
        """Every update of a variable by a change: v += d, v -= d, v.assign(v + d)."""
        u = graph.updates
        return cls(graph, u.slots, u.old, u.change, u.total)

    def only(self, kept: Mask) -> Scope:
        """Some of the slots, by a mask, bool [n]."""
        return Scope(self.graph, self.slots[kept], *(pick.slots[kept] for pick in (self.x, self.y, self.out)))

    def fact(self, find: Callable[[Scope], _T]) -> _T:
        """``find(self)``; found once, since the op table decides it, and asked for at every record."""
        if find not in self._facts:
            self._facts[find] = find(self)
        return cast(_T, self._facts[find])

    @cached_property
    def precision(self) -> Floats:
        """Significand bits of the result's format."""
        return self.graph.precision[self.slots]

    @cached_property
    def max_exp(self) -> Floats:
        """Exponent of the largest finite number of the result's format."""
        return self.graph.max_exp[self.slots]

    @cached_property
    def min_exp(self) -> Floats:
        """Exponent of the smallest normal number of the result's format."""
        return self.graph.min_exp[self.slots]


@dataclass(frozen=True)
class Ops:
    """Some slots in one step.

    Attributes:
      scope: the slots and their operands.
      table: float64 [N, WIDTH], every slot's row.
      memory: what earlier records showed.
    """

    scope: Scope
    table: Row
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def of(cls, graph: OpGraph, table: Row, slots: Slots) -> Ops:
        """Any slots with their own operands."""
        return cls(Scope.of(graph, slots), table)

    @property
    def graph(self) -> OpGraph:
        """The op table."""
        return self.scope.graph

    @property
    def slots(self) -> Slots:
        """Int64 [n], the slots looked at."""
        return self.scope.slots

    @property
    def x_slots(self) -> Slots:
        """Int64 [n], their first operands, -1 where there is none."""
        return self.scope.x.slots

    @property
    def y_slots(self) -> Slots:
        """Int64 [n], their second operands, -1 where there is none."""
        return self.scope.y.slots

    @cached_property
    def x(self) -> Columns:
        """Rows of the first operand."""
        return Columns.of(self.table, self.scope.x)

    @cached_property
    def y(self) -> Columns:
        """Rows of the second operand."""
        return Columns.of(self.table, self.scope.y)

    @cached_property
    def out(self) -> Columns:
        """Rows of the result."""
        return Columns.of(self.table, self.scope.out)

    @property
    def precision(self) -> Floats:
        """Significand bits of the result's format."""
        return self.scope.precision

    @property
    def max_exp(self) -> Floats:
        """Exponent of the largest finite number of the result's format."""
        return self.scope.max_exp

    @property
    def min_exp(self) -> Floats:
        """Exponent of the smallest normal number of the result's format."""
        return self.scope.min_exp

    @property
    def low_precision(self) -> Mask:
        """Bool [n]: results of at most float16's 11 significant bits, which lose changes of ordinary size."""
        return np.asarray(self.precision <= FORMATS["float16"].precision)

    @property
    def narrow_range(self) -> Mask:
        """Bool [n]: results in a format with float16's range of exponents or less."""
        return np.asarray(self.max_exp <= FORMATS["float16"].max_exp)

    @property
    def exp_overflow(self) -> Floats:
        """Float64 [n], where exp(x) leaves the range of the result's format: ln(2^(Emax + 1))."""
        return np.asarray((self.max_exp + 1) * np.log(2), np.float64)

    @property
    def anatomy(self) -> Anatomy:
        """The parts of the training step."""
        return self.memory.course.anatomy(self.graph)

    def among(self, mask: Mask) -> Mask:
        """Bool [n]: which of the slots are in ``mask``, bool [N]."""
        return mask[self.slots]

    def x_among(self, mask: Mask) -> Mask:
        """Bool [n]: whose first operand is in ``mask``, bool [N]."""
        return mask[self.x_slots] & (self.x_slots >= 0)

    def y_among(self, mask: Mask) -> Mask:
        """Bool [n]: whose second operand is in ``mask``, bool [N]."""
        return mask[self.y_slots] & (self.y_slots >= 0)

    def explain(
        self, template: str, index: int, figures: Mapping[str, float | str] | None = None
    ) -> tuple[str, dict[str, float]]:
        """A rule's sentence about the slot at ``index``, and the finite numbers in it, by name.

        Args:
          template: see Rule.explain.
          index: which of the slots.
          figures: further numbers and words, for ``n``.
        """
        site = self.graph.sites[self.slots[index]]
        names = {
            "op": op_name(self.graph, int(self.slots[index])),
            "variable": variable_name(site),
            "f": limits(site.dtype),
            "x": self._row(self.x_slots[index]),
            "y": self._row(self.y_slots[index]),
            "out": self._row(self.scope.out.slots[index]),
            "n": SimpleNamespace(**(figures or {})),
        }
        formatter = string.Formatter()
        text = formatter.vformat(template, (), names)
        numbers = {}
        for _, name, _, _ in formatter.parse(template):
            value = formatter.get_field(name, (), names)[0] if name else None
            if name and isinstance(value, int | float) and math.isfinite(value):
                numbers[name] = float(value)
        return text, numbers

    def _row(self, slot: int) -> OneRow:
        return OneRow(self.table[slot] if slot >= 0 else None)
