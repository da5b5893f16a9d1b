"""The course of a training: loss, gradient norm and loss scale, record by record."""

from __future__ import annotations

from collections import deque

import numpy as np

from tb_numstab.analysis.anatomy import Anatomy
from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.reversal import Reversals
from tb_numstab.schema.columns import INDEX, Row
from tb_numstab.schema.ops import Role

EDGE = 5
"""Records at the start and at the end whose median loss is compared."""

STILL = 50
"""Records without progress before a loss is said to stand still."""

FLAT = 1e-3
"""Relative change of the loss over a session that counts as none."""

SETTLED = 20
"""Records after which a usual gradient norm is known."""

RECENT = 256
"""Records that the usual gradient norm and the noise of the loss are taken from."""

SPIKE = 10.0
"""Times the median from which a gradient norm is a spike, if it is also twice the largest that was none."""


class Course:
    """Scalars of the whole step over a session.

    Attributes:
      records: how many went in.
      loss, norm, scale: one value for each record, NaN where it has none. ``norm`` is the Euclidean norm
        of all gradients together, from samples where these are large.
      last_loss: median loss of the last EDGE records.
      steps: from the first record's step to the last one's.
      spiking: whether the last record's norm was a spike; ``spikes`` counts those that were.
      reversals: whether gradients turn round from step to step.
      skipped: steps of the records on end, up to the last, in which gradients were not finite and no trained
        variable changed.
    """

    def __init__(self) -> None:
        self.records = self.steps = 0
        self.loss: list[float] = []
        self.norm: list[float] = []
        self.scale: list[float] = []
        self.last_loss = np.nan
        self.spikes = 0
        self.spiking = False
        self.reversals = Reversals()
        self.skipped: list[int] = []
        self._usual: deque[float] = deque(maxlen=RECENT)
        self._largest = 0.0
        self._first_step: int | None = None
        self._anatomy: Anatomy | None = None

    def anatomy(self, graph: OpGraph) -> Anatomy:
        """The parts of the step."""
        if self._anatomy is None or self._anatomy.graph is not graph:
            self._anatomy = Anatomy(graph)
        return self._anatomy

    def feed(self, graph: OpGraph, table: Row, step: int) -> None:
        """Takes in one record, before the rules judge it."""
        parts = self.anatomy(graph)
        self._first_step = step if self._first_step is None else self._first_step
        self.records, self.steps = self.records + 1, step - self._first_step
        self.loss.append(float(Columns.of(table, np.array([parts.loss])).max[0]) if parts.loss >= 0 else np.nan)
        self.last_loss = float(np.median(self.loss[-EDGE:]))
        scales = Columns.of(table, parts.loss_scales).max
        self.scale.append(float(scales[-1]) if len(scales) else np.nan)
        rows = Columns.of(table, parts.gradients)
        finite = len(parts.gradients) > 0 and bool((rows.finite == rows.size).all())
        self.norm.append(float(np.sqrt(rows.sum_sq.sum())) if finite else np.nan)
        self._judge(self.norm[-1])
        self.reversals.feed(parts, table, step, self.norm[-1])
        bad = bool((rows.nan + rows.inf > 0).any())
        if bad and not _trains(graph, table):
            self.skipped.append(step)
        else:
            self.skipped.clear()

    def _judge(self, norm: float) -> None:
        """Whether the norm is out of all proportion to those before."""
        known = len(self._usual) >= SETTLED
        self.spiking = known and norm > 2 * self._largest and norm > SPIKE * float(np.median(self._usual))
        self.spikes += self.spiking
        if not self.spiking and np.isfinite(norm) and norm > 0:
            self._usual.append(norm)
            self._largest = max(self._largest, norm)

    @property
    def usual_norm(self) -> float:
        """The median gradient norm, spikes left out; NaN until it is known."""
        return float(np.median(self._usual)) if len(self._usual) >= SETTLED else np.nan

    def norm_quantile(self, share: float) -> float:
        """The norm that a share of the usual gradients does not exceed."""
        return float(np.quantile(self._usual, share)) if self._usual else np.nan

    @property
    def improved(self) -> bool:
        """Whether the loss is below its first value; True while that cannot be told."""
        return self.records < 4 * EDGE or not self.last_loss >= self.loss[0]

    @property
    def stands(self) -> bool:
        """Whether the loss has moved by less than it differs from batch to batch, and its thousandth."""
        if self.records < STILL:
            return False
        noise = float(np.median(np.abs(np.diff(self.loss[-RECENT:]))))
        moved = abs(self.last_loss - float(np.median(self.loss[:EDGE])))
        return moved <= max(noise, FLAT * abs(self.last_loss))


_NUMBERS = [INDEX[name] for name in ("zero", "negative", "min", "max", "sum_sq")]


def _trains(graph: OpGraph, table: Row) -> bool:
    """Whether a trained variable is left with other numbers than it was found with."""
    updates = np.flatnonzero(graph.role(Role.UPDATE) & graph.trainable)
    updates = updates[Columns.of(table, updates).size > 0]
    found = np.array([graph.reads.get(graph.sites[slot].variable, slot) for slot in updates], np.int64)
    return not np.array_equal(table[updates][:, _NUMBERS], table[found][:, _NUMBERS])
