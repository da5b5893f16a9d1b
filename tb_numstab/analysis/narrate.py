"""Sentences about slots: where they are, what they hold, how a chain runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tb_numstab.analysis.columns import OneRow
from tb_numstab.analysis.finding import Hop
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import OpSite, Role

_SEPARATOR = re.compile(r"[/\\]")

MAX_HOPS = 8
"""Hops of a chain that are told; a longer one is thinned in its middle."""


def place(site: OpSite) -> str:
    """Where an op is, for a reader: "train.py:38", its Keras layer, or its name in the graph."""
    if site.source is not None:
        return f"{_SEPARATOR.split(site.source.file)[-1]}:{site.source.line}"
    return site.layer or site.name


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 step", "2 steps"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def called(site: OpSite) -> str:
    """What to call a slot in a sentence."""
    if site.role is Role.CONSTANT:
        return "a literal"
    if site.role in (Role.VARIABLE, Role.INPUT):
        kind = "variable" if site.role is Role.VARIABLE else "input"
        return f"{kind} {site.variable or site.name}"
    if site.role is Role.UPDATE:
        return f"the new value of {site.variable or site.name}"
    if site.role is Role.GRADIENT:
        return f"{site.op_type} (a gradient)"
    return site.op_type


def holds(row: OneRow) -> str:
    """What is not finite in a row: "12 NaN and 3 -Inf of 500"."""
    parts = [
        f"{count:,.0f} {name}"
        for count, name in ((row.nan, "NaN"), (row.pos_inf, "+Inf"), (row.neg_inf, "-Inf"))
        if count > 0
    ]
    return f"{' and '.join(parts)} of {row.size:,.0f}" if parts else f"all {row.size:,.0f} finite"


def chain_hops(graph: OpGraph, table: Row, step: int, chain: Sequence[int]) -> tuple[Hop, ...]:
    """The hops from a symptom back to the origin.

    Args:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row in the step.
      step: the step.
      chain: slots from the origin to the symptom.
    """
    told = list(reversed(chain))
    if len(told) > MAX_HOPS:
        told = told[: MAX_HOPS // 2] + told[-MAX_HOPS // 2 :]
    return tuple(Hop(slot, step, hop_text(graph, table, slot)) for slot in told)


def hop_text(graph: OpGraph, table: Row, slot: int) -> str:
    """What a slot holds, where it is."""
    site = graph.sites[slot]
    verb = "returned " if site.returned else ""
    return f"{verb}{called(site)} at {place(site)}: {holds(OneRow(table[slot]))}"
