"""The origin as a finding: which rule explains it, the chain, one hop back, what to change."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from tb_numstab.analysis.anatomy import Anatomy
from tb_numstab.analysis.causes import causes
from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.finding import Certainty, Finding, Fix, Hop, Severity
from tb_numstab.analysis.fixes import suited
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.headroom import headroom_up
from tb_numstab.analysis.narrate import called, chain_hops, place
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.origin import Origin, Source
from tb_numstab.analysis.rules import ORIGIN
from tb_numstab.analysis.rules.arithmetic import ORDER_DECIDES
from tb_numstab.analysis.rules.generic import (
    NONFINITE_INPUT,
    NONFINITE_RECEIVED,
    NONFINITE_VARIABLE,
    ORIGIN_UNKNOWN,
    fix_of_data,
)
from tb_numstab.analysis.rules.rule import Rule
from tb_numstab.analysis.rules.where_trap import WHERE_TRAP
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import Role

MAX_VISITED = 64
"""Slots followed forward from an origin in search of a tf.where."""

_ELSEWHERE = {
    Source.INPUT: NONFINITE_INPUT,
    Source.VARIABLE: NONFINITE_VARIABLE,
    Source.WORKER: NONFINITE_RECEIVED,
}


def origin_finding(graph: OpGraph, table: Row, origin: Origin, clean: tuple[int, Row] | None = None) -> Finding:
    """The finding about an origin whose step was measured.

    Args:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row in the origin's step.
      origin: what was found there.
      clean: step and table of the last record before it without symptoms.
    """
    slot = origin.slot
    rule = origin_rule(graph, table, origin)
    ops = Ops.of(graph, table, np.array([slot]))
    text, numbers = ops.explain(rule.explain, 0)
    fix = fix_of_data(graph.sites[slot]) if rule is NONFINITE_INPUT else rule.fix_for(ops)
    why = chain_hops(graph, table, origin.step, origin.chain)
    why += causes(graph, table, origin.step, slot, rule.blame)
    if origin.source is Source.VARIABLE and clean is not None:
        why += _closest_to_overflow(graph, *clean)
    trapped = trapped_forward(graph, table, origin)
    if trapped is not None:
        forward = graph.sites[trapped].op_type
        text = f"{text} tf.where hides it in the forward pass, but the gradient of {forward} still meets it."
        rule, fix = WHERE_TRAP, WHERE_TRAP.fix
    return _finding(graph, origin, rule, text, fix, why, numbers)


def _closest_to_overflow(graph: OpGraph, step: int, table: Row) -> tuple[Hop, ...]:
    """The computed slot with the least headroom in the last clean record: the likeliest to have failed next."""
    room = np.where(graph.role(Role.FORWARD, Role.GRADIENT, Role.OPTIMIZER), headroom_up(graph, table), np.nan)
    if np.isnan(room).all():
        return ()
    slot = int(np.nanargmin(room))
    where = f"{called(graph, slot)} at {place(graph.sites[slot])}"
    return (Hop(slot, step, f"still clean at step {step}; closest to overflow then: {where}, {room[slot]:.0f} bits"),)


def recorded_origin_finding(graph: OpGraph, origin: Origin, seen: int) -> Finding:
    """The finding about an origin that only a later record tells of.

    Args:
      graph: the op table.
      origin: its step and slot, from StepRecord.first_nonfinite.
      seen: the step of the record that told.
    """
    site = graph.sites[origin.slot]
    given = {Role.INPUT: NONFINITE_INPUT, Role.VARIABLE: NONFINITE_VARIABLE}.get(site.role)
    family = graph.family(origin.slot)
    rule = given or next(r for r in ORIGIN if family in r.families or not r.families)
    where = f"{called(graph, origin.slot)} at {place(site)}"
    text = f"{where} gave the first NaN or Inf; this log has no record of step {origin.step}."
    why = (Hop(origin.slot, seen, text),)
    fix = fix_of_data(site) if rule is NONFINITE_INPUT else rule.fix
    return _finding(graph, origin, rule, text, fix, why)


def unknown_origin_finding(graph: OpGraph, table: Row, step: int) -> Finding | None:
    """The finding about a step that ended with NaN or Inf, but not when it was run again to be measured.

    It is about a product that is finite in one order only, the possible cause; else about the first result,
    such as the loss. None when the op table holds no result and no update.
    """
    products = Ops.of(graph, table, graph.members(*ORDER_DECIDES.families))
    suspects = np.flatnonzero(ORDER_DECIDES.when(products))
    if len(suspects):
        text, numbers = products.explain(ORDER_DECIDES.explain, int(suspects[0]))
        origin = _at(step, int(products.slots[suspects[0]]))
        finding = _finding(graph, origin, ORIGIN_UNKNOWN, text, ORDER_DECIDES.fix, numbers=numbers)
        title = "TensorFlow's graph optimizer may have multiplied in another order"
        return replace(finding, title=title, certainty=Certainty.POSSIBLE)
    results = [*np.flatnonzero(graph.returned).tolist(), *np.flatnonzero(graph.role(Role.UPDATE)).tolist()]
    if not results:
        return None
    return _finding(graph, _at(step, results[0]), ORIGIN_UNKNOWN, ORIGIN_UNKNOWN.explain, ORIGIN_UNKNOWN.fix)


def _at(step: int, slot: int) -> Origin:
    return Origin(step, slot, Source.OP, (slot,), (slot,))


def _finding(
    graph: OpGraph,
    origin: Origin,
    rule: Rule,
    summary: str,
    fix: Fix,
    why: tuple[Hop, ...] = (),
    numbers: dict[str, float] | None = None,
) -> Finding:
    return Finding(
        rule=rule.id,
        title=rule.title,
        severity=Severity.ERROR,
        certainty=Certainty.EVENT,
        slot=origin.slot,
        site=graph.sites[origin.slot],
        first_step=origin.step,
        last_step=origin.step,
        count=1,
        step=origin.step,
        summary=summary,
        fix=suited(fix, graph.sites[origin.slot].dtype),
        why=why,
        numbers=numbers or {},
    )


def origin_rule(graph: OpGraph, table: Row, origin: Origin) -> Rule:
    """The first rule that explains the origin; a generic one for any other op."""
    if origin.source in _ELSEWHERE:
        return _ELSEWHERE[origin.source]
    ops = Ops.of(graph, table, np.array([origin.slot]))
    family = graph.family(origin.slot)
    return next(r for r in ORIGIN if (not r.families or family in r.families) and bool(r.when(ops)[0]))


def trapped_forward(graph: OpGraph, table: Row, origin: Origin) -> int | None:
    """The forward op whose non-finite result a tf.where discards, while its gradient meets it.

    None when that is not how the origin did harm: also where the loss or a returned value got it all the same.
    """
    gradient = graph.role(Role.GRADIENT)
    if not any(gradient[s] for s in origin.chain):
        return None
    start = graph.sites[origin.slot].gradient_of if gradient[origin.slot] else origin.slot
    rows = Columns(table)
    bad = (rows.nan + rows.inf) > 0
    if start < 0 or not bad[start]:
        return None
    forward, queue, seen, hidden = graph.role(Role.FORWARD), deque([start]), {start}, False
    while queue and len(seen) < MAX_VISITED:
        slot = queue.popleft()
        for consumer in (int(c) for c in graph.consumers(slot) if forward[c]):
            hidden |= graph.family(consumer) == "select" and not bad[consumer]
            if bad[consumer] and consumer not in seen:
                seen.add(consumer)
                queue.append(consumer)
    shown = Anatomy(graph).loss in seen or any(graph.returned[slot] for slot in seen)
    return start if hidden and not shown else None
