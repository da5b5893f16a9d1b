"""Some slots in one step with their operands: what a rule's precondition looks at."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import numpy as np

from tb_numstab.analysis.anatomy import Anatomy
from tb_numstab.analysis.columns import Columns, Floats, OneRow
from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.analysis.limits import limits
from tb_numstab.analysis.memory import Memory
from tb_numstab.analysis.narrate import op_name, variable_name
from tb_numstab.schema.columns import Row
from tb_numstab.schema.formats import FORMATS


@dataclass(frozen=True)
class Ops:
    """Some slots in one step.

    Attributes:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row.
      slots: int64 [n], the slots looked at.
      x_slots, y_slots: int64 [n], their operands, -1 where there is none. Of a variable update x is the
        old value and y the change.
      out_slots: int64 [n], where the result was measured: the slots themselves, but for
        ``v.assign(v + d)`` the sum.
      memory: what earlier records showed.
    """

    graph: OpGraph
    table: Row
    slots: Slots
    x_slots: Slots
    y_slots: Slots
    out_slots: Slots
    memory: Memory

    @classmethod
    def of(cls, graph: OpGraph, table: Row, slots: Slots, memory: Memory | None = None) -> Ops:
        """Any slots with their own operands."""
        return cls(graph, table, slots, graph.x[slots], graph.y[slots], slots, memory or Memory())

    @classmethod
    def updates(cls, graph: OpGraph, table: Row, memory: Memory) -> Ops:
        """Every update of a variable by a change: v += d, v -= d, v.assign(v + d)."""
        u = graph.updates
        return cls(graph, table, u.slots, u.old, u.change, u.total, memory)

    def only(self, kept: Mask) -> Ops:
        """Some of the slots, by a mask, bool [n]."""
        slots, x_slots, y_slots, out_slots = (
            some[kept] for some in (self.slots, self.x_slots, self.y_slots, self.out_slots)
        )
        return Ops(self.graph, self.table, slots, x_slots, y_slots, out_slots, self.memory)

    def in_record(self, table: Row) -> Ops:
        """The same slots in another record."""
        return Ops(self.graph, table, self.slots, self.x_slots, self.y_slots, self.out_slots, self.memory)

    @cached_property
    def x(self) -> Columns:
        """Rows of the first operand."""
        return Columns.of(self.table, self.x_slots)

    @cached_property
    def y(self) -> Columns:
        """Rows of the second operand."""
        return Columns.of(self.table, self.y_slots)

    @cached_property
    def out(self) -> Columns:
        """Rows of the result."""
        return Columns.of(self.table, self.out_slots)

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
            "out": self._row(self.out_slots[index]),
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
