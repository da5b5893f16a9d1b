"""Headroom in bits: how far each slot is from the ends of its own format."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.schema.columns import Row


def grown(values: Floats, size: int) -> Floats:
    """``values``, float64 [n], extended with NaN to [size]."""
    missing = size - len(values)
    return np.concatenate([values, np.full(missing, np.nan)]) if missing > 0 else values


def headroom_up(graph: OpGraph, table: Row) -> Floats:
    """Bits from each slot's largest finite magnitude to the top of its format; 0 where it holds Inf.

    Returns:
      float64 [N]; NaN where nothing was measured or everything is zero.
    """
    rows = Columns(table)
    return np.where(rows.inf > 0, 0.0, graph.max_exp - rows.max_exp)


def headroom_down(graph: OpGraph, table: Row) -> Floats:
    """Bits from each slot's smallest non-zero magnitude to the smallest normal number.

    Returns:
      float64 [N]; negative for subnormal numbers, NaN as in headroom_up.
    """
    return np.asarray(Columns(table).min_exp - graph.min_exp, np.float64)


class Headroom:
    """Headroom over a session.

    Attributes:
      up, down: float64 [N], when each slot was last measured.
      worst_up, worst_down: float64 [N], the least over the session.
    """

    def __init__(self) -> None:
        self.up = self.down = self.worst_up = self.worst_down = np.empty(0)

    def feed(self, graph: OpGraph, table: Row) -> None:
        """Takes in one record."""
        up, down = headroom_up(graph, table), headroom_down(graph, table)
        self.up, self.worst_up = _latest(self.up, up), np.fmin(grown(self.worst_up, graph.size), up)
        self.down, self.worst_down = _latest(self.down, down), np.fmin(grown(self.worst_down, graph.size), down)


def _latest(before: Floats, now: Floats) -> Floats:
    return np.where(np.isnan(now), grown(before, len(now)), now)
