"""Whether gradients turn round from step to step, as they do when the learning rate is too large for the curvature.

Along a direction of curvature h gradient descent leaves (1 - rate * h) of the gradient: from rate * h = 1 on it
reverses in every step, beyond 2 it grows as well. A record holds no directions. But a tensor that reverses swaps
its extremes and its signs, so that what it leans to (see ``_lean``) reverses, too. Noise does not do that for long:
at rest, the correlation of one step's gradient with the next one's is -rate * h / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from tb_numstab.analysis.anatomy import Anatomy
from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.graph import Slots
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import Role

AGAINST = 0.75
"""Negative cosine between two steps' leans, from which their gradients reverse. -1 where a training diverges; in
minibatch trainings with a fitting learning rate it never lasted for more than 4 steps of a network."""

LASTING = 12
"""Reversed pairs on end that are no chance. In 100,000 simulated pairs of independent gradients, or of a correlation
of -0.25, none had as many that were STEADY too, whatever the number and size of tensors."""

STEADY = 1.0
"""Bits within which the growth of reversed gradients stays: a reversal keeps its pace, noise does not."""


@dataclass(frozen=True)
class _Seen:
    """One record: what its gradients lean to, their norm, and the data it was given."""

    step: int
    slots: Slots
    lean: Floats
    norm: float
    data: Floats

    def comparable(self, other: _Seen) -> bool:
        """Whether the same gradients and the same arguments were measured, all of them finite."""
        finite = np.isfinite(self.norm * other.norm) and self.norm * other.norm > 0
        return bool(finite and np.array_equal(self.slots, other.slots) and self.data.shape == other.data.shape)


class Reversals:
    """Pairs of records, an odd number of steps apart, whose gradients point against each other.

    A pair an even number of steps apart must agree; else what came before it does not count any more.

    Attributes:
      records: how many belong to the present run of pairs.
      bits: of each pair on end, log2 of how much longer the later gradient is.
      steps: of each of them, how many steps lie between.
      turned: share of the leans, but for those that are 0, which changed sides in the last pair.
    """

    def __init__(self) -> None:
        self.records = 0
        self.bits: list[float] = []
        self.steps: list[int] = []
        self.turned = np.nan
        self._last: _Seen | None = None
        self._data: dict[int, Floats] = {}  # of the last record with an even step, and with an odd one
        self._alternates = np.empty(0, bool)  # by argument: it was the same in all records of one parity

    def feed(self, parts: Anatomy, table: Row, step: int, norm: float) -> None:
        """Takes in one record with the norm of its gradients; NaN where they are not finite."""
        rows = Columns.of(table, parts.gradients)
        given = Columns.of(table, np.flatnonzero(parts.graph.role(Role.INPUT)))
        data = np.stack([given.min, given.max, given.sum_sq], 1)
        now, before = _Seen(step, parts.gradients, _lean(rows), norm, data), self._last
        self._last = now
        if before is None or not now.comparable(before):
            self._restart(now)
            return
        odd = (step - before.step) % 2 == 1
        against = -_cosine(before.lean, now.lean)
        if (against if odd else -against) < AGAINST:
            self._restart(now)
            return
        self.records += 1
        if odd:
            self.bits.append(float(np.log2(norm / before.norm)))
            self.steps.append(step - before.step)
            sides = np.sign(now.lean) * np.sign(before.lean)
            self.turned = float(np.mean(sides[sides != 0] < 0))
        self._compare_data(now)

    def _restart(self, now: _Seen) -> None:
        self.records, self.bits, self.steps = 1, [], []
        self._data = {now.step % 2: now.data}
        self._alternates = np.ones(len(now.data), bool)

    def _compare_data(self, now: _Seen) -> None:
        """Data that alternate let gradients alternate, whatever the learning rate."""
        same, other = self._data.get(now.step % 2), self._data.get(1 - now.step % 2)
        if same is not None and other is not None:
            self._alternates &= (now.data == same).all(1) & ~(now.data == other).all(1)
        self._data[now.step % 2] = now.data

    @property
    def pairs(self) -> int:
        """Pairs on end up to the last record, unless the data alternate."""
        return 0 if self._alternates.any() else len(self.bits)

    @property
    def growing(self) -> list[float]:
        """``bits`` of the last pairs on end in which the gradients grew, the last first."""
        return list(takewhile(lambda bits: bits > 0, reversed(self.bits))) if self.pairs else []

    @property
    def lasting(self) -> bool:
        """Whether the gradients reverse for long enough, and steadily enough, to be no chance."""
        return self.pairs >= LASTING and float(np.ptp(self.bits[-LASTING:])) <= STEADY

    @property
    def growth(self) -> float:
        """By what factor the gradients grow in each step: the median over the last pairs."""
        paces = np.array(self.bits[-LASTING:]) / np.array(self.steps[-LASTING:])
        return float(2.0 ** np.median(paces)) if len(paces) else np.nan


def _lean(rows: Columns) -> Floats:
    """What each tensor leans to, float64 [2n], -1 to 1: in its extremes, and in the signs of its elements."""
    extremes = (rows.max + rows.min) / (np.abs(rows.max) + np.abs(rows.min))
    signs = 1 - 2 * rows.negative / rows.nonzero
    return np.asarray(np.nan_to_num(np.concatenate([extremes, signs])), np.float64)


def _cosine(a: Floats, b: Floats) -> float:
    """0 where one of them is 0."""
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
