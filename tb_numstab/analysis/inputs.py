"""What the measured operands of every op hold in one step."""

from __future__ import annotations

from dataclasses import dataclass

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.schema.columns import Row


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
