"""Sentences about slots: where they are, what they hold, how a chain runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tb_numstab.analysis.columns import OneRow
from tb_numstab.analysis.finding import Finding, Hop
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import OpSite, Role

_SEPARATOR = re.compile(r"[/\\]")

_NO_NAME = re.compile(r"Variable(_\d+)?(/|$)")

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


def called(graph: OpGraph, slot: int) -> str:
    """What to call a slot in a sentence."""
    site = graph.sites[slot]
    if site.role is Role.CONSTANT:
        return "a literal"
    if site.role is Role.INPUT:
        return f"input {site.variable or site.name}"
    if site.role is Role.VARIABLE:
        return f"variable {variable_name(site)}"
    if site.role is Role.UPDATE:
        return f"the new value of {variable_name(site)}"
    if site.role is Role.OPTIMIZER:
        return f"{site.op_type} (after backpropagation)"
    return op_name(graph, slot, "a gradient" if site.role is Role.GRADIENT else "")


def op_name(graph: OpGraph, slot: int, remark: str = "") -> str:
    """The type of an op, with a remark, and with what tells it from others of the type on its line."""
    site = graph.sites[slot]
    which = graph.which_on_line(slot) if site.role in (Role.FORWARD, Role.GRADIENT) else ""
    told = ", ".join(filter(None, (remark, which)))
    return f"{site.op_type} ({told})" if told else site.op_type


def variable_name(site: OpSite) -> str:
    """The name of a slot's variable, with the shape where it is the one that TensorFlow gives."""
    name = site.variable or site.name
    return f"{name} {list(site.shape)}" if _NO_NAME.match(name) and site.shape else name


def dated(finding: Finding) -> Finding:
    """The finding, its summary led by the step of the numbers where that is not the step it began at."""
    if finding.step == finding.first_step:
        return finding
    return replace(finding, summary=f"At step {finding.step}: {finding.summary}")


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
    return f"{verb}{called(graph, slot)} at {place(site)}: {holds(OneRow(table[slot]))}"
