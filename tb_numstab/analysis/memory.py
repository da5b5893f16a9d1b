"""What earlier records showed, per slot: the little state some rules need."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.course import Course
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.headroom import grown
from tb_numstab.schema.columns import Row

LOST = 0.95
"""Share of absorbed elements from which an update counts as lost."""


@dataclass
class Memory:
    """State over a session.

    Attributes:
      moved_exp: float64 [N], of each variable update the largest exponent of a change that was
        not lost (see LOST); NaN while all were.
      moved_from_exp: float64 [N], exponent of each updated variable's largest element before the last change
        that was not lost; NaN while all were.
      value_exp: float64 [N], exponent of each updated variable's largest element after its last update.
      masked: float64 [N], share of -Inf among the logits of a Softmax in the last record.
      course: loss, gradient norm and loss scale of all records, the present one included.
    """

    moved_exp: Floats = field(default_factory=lambda: np.empty(0))
    moved_from_exp: Floats = field(default_factory=lambda: np.empty(0))
    value_exp: Floats = field(default_factory=lambda: np.empty(0))
    masked: Floats = field(default_factory=lambda: np.empty(0))
    course: Course = field(default_factory=Course)

    def reserve(self, size: int) -> None:
        """Makes room for a grown op table."""
        self.moved_exp = grown(self.moved_exp, size)
        self.moved_from_exp = grown(self.moved_from_exp, size)
        self.value_exp = grown(self.value_exp, size)
        self.masked = grown(self.masked, size)

    def remember(self, graph: OpGraph, table: Row) -> None:
        """Takes in one record, after the rules have judged it."""
        u = graph.updates
        total, change = Columns.of(table, u.total), Columns.of(table, u.change)
        moving = total.absorbed < LOST * total.operands
        moved = u.slots[moving]
        old = Columns.of(table, u.old).max_exp
        before = np.where(np.isnan(old), self.value_exp[u.slots], old)
        self.moved_from_exp[moved] = before[moving]
        self.moved_exp[moved] = np.fmax(self.moved_exp[moved], change.max_exp[moving])
        self.value_exp[u.slots] = np.where(np.isnan(total.max_exp), self.value_exp[u.slots], total.max_exp)
        logits = graph.x[graph.members("softmax", "log-softmax")]
        logits = logits[logits >= 0]
        rows = Columns.of(table, logits)
        self.masked[logits] = rows.neg_inf / rows.size
