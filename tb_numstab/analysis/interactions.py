"""Operands of very different scale: what meets in one op, how far apart, and what that does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tb_numstab.analysis import bounds
from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.finding import Certainty
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.analysis.ops import Ops, Scope
from tb_numstab.analysis.patterns import literals, logits, never
from tb_numstab.schema.columns import Row

SUMS = ("add", "sub")
PRODUCTS = ("mul",)
QUOTIENTS = ("div", "div-no-nan")
DOTS = ("matmul", "conv")

BY_A_CHANGE = ("AssignAddVariableOp", "AssignSubVariableOp", "ResourceScatterAdd", "ResourceScatterSub")
"""Updates whose operand is the change itself; fused optimizers take the gradient, and scale it inside."""

STOOD_STILL = 0.1
"""Share of a variable's elements that must not have moved for its update to be listed, whatever the gap."""


@dataclass(frozen=True)
class Interaction:
    """Two operands of one op whose scales are far apart.

    Attributes:
      slot: the op; x, y: its operands, of an update the old value and the change.
      gap: bits between the operands' largest magnitudes.
      effect: ``"absorbed"``, ``"cancelled"``, ``"vanishes"``, ``"overflows"`` or ``"none"``: what the gap
        did, or can do, to the result.
      certainty: PROVEN when the exponents alone decide it for every element, EVENT when it was counted,
        POSSIBLE when the extremes could meet.
      affected: share of elements the effect was counted on, [0, 1]; NaN where it was not counted.
      reaches: whether the result flows into a returned value or a variable.
      expected: why the smaller operand is meant to be lost; "" where it is not.
      text: one sentence with the numbers.
    """

    slot: int
    x: int
    y: int
    gap: float
    effect: str
    certainty: Certainty
    affected: float
    reaches: bool
    expected: str
    text: str


@dataclass(frozen=True)
class _Effect:
    """One effect over some ops, each array of length n."""

    name: str
    proven: Mask
    counted: Mask
    possible: Mask
    affected: Floats


@np.errstate(all="ignore")  # a damaged log may hold any number
def interactions(graph: OpGraph, table: Row) -> list[Interaction]:
    """Every op of one step whose operands are far apart, or lost something.

    Far apart are addends by a significand, factors by two, a variable and its change by half of one: that
    much of the change is lost already.

    Args:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row in the step.

    Returns:
      The proven ones first, then the counted, each by the width of the gap; what is meant to be so comes last.
    """
    found: list[Interaction] = []
    for ops, effects, wide in (
        (_binary(graph, table, SUMS), _sum_effects, 1.0),
        (_binary(graph, table, PRODUCTS), _product_effects, 2.0),
        (_binary(graph, table, QUOTIENTS), _quotient_effects, 2.0),
        (_binary(graph, table, DOTS), _dot_effects, 2.0),
        (_changes(graph, table), _update_effects, 0.5),
    ):
        if len(ops.slots):
            found += _interactions(ops, effects(ops), wide)
    return sorted(found, key=lambda i: (i.expected != "", list(Certainty).index(i.certainty), -i.gap, i.slot))


def _binary(graph: OpGraph, table: Row, families: tuple[str, ...]) -> Ops:
    slots = graph.members(*families)
    return Ops.of(graph, table, slots[(graph.x[slots] >= 0) & (graph.y[slots] >= 0)])


def _changes(graph: OpGraph, table: Row) -> Ops:
    """Updates by a change, of a variable that was measured before it; ``v.assign(v + d)`` is listed as a sum."""
    u = graph.updates
    fit = graph.of_type(*BY_A_CHANGE)[u.slots] & (u.old >= 0)
    return Ops(Scope(graph, u.slots[fit], u.old[fit], u.change[fit], u.slots[fit]), table)


def _interactions(ops: Ops, effects: list[_Effect], wide: float) -> list[Interaction]:
    gap = np.abs(ops.x.max_exp - ops.y.max_exp)
    listed = gap >= wide * ops.precision
    for effect in effects:
        listed = listed | effect.proven | effect.counted
    return [_interaction(ops, effects, int(k), float(gap[k])) for k in np.flatnonzero(listed)]


def _interaction(ops: Ops, effects: list[_Effect], k: int, gap: float) -> Interaction:
    effect, certainty, affected = "none", Certainty.POSSIBLE, np.nan
    for kind, level in (("proven", Certainty.PROVEN), ("counted", Certainty.EVENT), ("possible", Certainty.POSSIBLE)):
        hit = next((e for e in effects if getattr(e, kind)[k]), None)
        if hit is not None:
            effect, certainty, affected = hit.name, level, float(hit.affected[k])
            break
    slot = int(ops.slots[k])
    expected = _expected(ops, slot) if effect == "absorbed" else ""
    text = ops.explain(_template(ops, slot, effect, certainty), k)[0]
    return Interaction(
        slot=slot,
        x=int(ops.x_slots[k]),
        y=int(ops.y_slots[k]),
        gap=gap,
        effect=effect,
        certainty=certainty,
        affected=affected,
        reaches=bool(ops.graph.reaches_result[slot]),
        expected=expected,
        text=f"{text} That is meant to be: {expected}." if expected else text,
    )


def _expected(ops: Ops, slot: int) -> str:
    """Why the smaller operand of a sum is meant to be lost; "" where it is not."""
    graph, rows = ops.graph, Columns(ops.table)
    if graph.family(slot) not in SUMS:
        return ""
    literal = literals(graph)
    larger, smaller = sorted((int(graph.x[slot]), int(graph.y[slot])), key=lambda s: -rows.max_exp[s])
    if literal[smaller]:
        return "the number is there for smaller values"
    # 1 - beta^t, whatever part of the step an optimizer computes it in.
    if literal[larger] and graph.scalar[slot] and graph.family(smaller) == "pow":
        return "a correction for the first steps has worn off"
    return "a mask" if logits(graph)[slot] and rows.max[larger] <= 0 else ""


_OPERANDS = "{op} of operands up to {x.top} and {y.top}: "
_CHANGE = "{op} changes {variable}, up to {x.top}, by up to {y.top}: "

_DONE: dict[tuple[str, Certainty], str] = {
    ("none", Certainty.POSSIBLE): "the result, up to {out.top}, is well within {f.name}.",
    ("absorbed", Certainty.PROVEN): "every element of the smaller one is lost ({f.precision} bits).",
    ("absorbed", Certainty.EVENT): "{out.absorbed:,.0f} of {out.operands:,.0f} additions changed nothing.",
    ("absorbed", Certainty.POSSIBLE): "the smaller one can be lost ({f.precision} bits).",
    ("cancelled", Certainty.EVENT): "an element lost {out.cancelled:.0f} of {f.precision} bits.",
    ("overflows", Certainty.PROVEN): "every result is beyond {f.max_value:.3g}.",
    ("overflows", Certainty.EVENT): "{out.overflow:,.0f} of {out.size:,.0f} elements beyond {f.max_value:.3g}.",
    ("overflows", Certainty.POSSIBLE): "should the largest meet, the result is beyond {f.max_value:.3g}.",
    ("vanishes", Certainty.PROVEN): "every result is 0 in {f.name}.",
    ("vanishes", Certainty.EVENT): "{out.underflow:,.0f} of {out.size:,.0f} elements 0 or subnormal in {f.name}.",
    ("vanishes", Certainty.POSSIBLE): "should the smallest meet, the result is 0 in {f.name}.",
}
_CHANGED: dict[tuple[str, Certainty], str] = {
    ("none", Certainty.POSSIBLE): "{f.name} keeps {f.precision} bits, so the last ones of the change are lost.",
    ("absorbed", Certainty.PROVEN): "no element moves ({f.precision} bits).",
    ("absorbed", Certainty.EVENT): "{out.absorbed:,.0f} of {out.operands:,.0f} elements did not move.",
    ("absorbed", Certainty.POSSIBLE): "the change can be lost ({f.precision} bits).",
}


def _template(ops: Ops, slot: int, effect: str, certainty: Certainty) -> str:
    """What to say about an effect; a template as Rule.explain."""
    if ops.graph.family(slot) == "update":
        return _CHANGE + _CHANGED[effect, certainty]
    return _OPERANDS + _DONE[effect, certainty]


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(part / whole, np.float64)


def _sum_effects(o: Ops) -> list[_Effect]:
    x, y = o.x, o.y
    absorbed = _share(o.out.absorbed, o.out.operands)
    either = bounds.absorbs(x.lower_exp, y.upper_exp, o.precision) | bounds.absorbs(
        y.lower_exp, x.upper_exp, o.precision
    )
    apart = np.abs(o.x.max_exp - o.y.max_exp)
    unsafe = ~bounds.sum_is_safe(o.x.max_exp, o.y.max_exp, o.max_exp) & ~np.isnan(apart)
    return [
        _Effect("absorbed", either, absorbed >= 0.5, apart >= o.precision, absorbed),
        _Effect("cancelled", never(o), o.out.cancelled >= o.precision - 2, never(o), np.full(len(apart), np.nan)),
        _Effect("overflows", never(o), o.out.overflow > 0, unsafe, _share(o.out.overflow, o.out.size)),
    ]


def _update_effects(o: Ops) -> list[_Effect]:
    """Elements of a variable that a change other than 0 left as they were."""
    absorbed = _share(o.out.absorbed, o.out.operands)
    proven = bounds.absorbs(o.x.lower_exp, o.y.upper_exp, o.precision)
    possible = o.x.max_exp - o.y.max_exp >= o.precision
    return [_Effect("absorbed", proven, absorbed >= STOOD_STILL, possible, absorbed)]


def _product_effects(o: Ops) -> list[_Effect]:
    least, subnormal = o.x.min_exp + o.y.min_exp, o.min_exp - (o.precision - 1)
    finite = ~np.isnan(least)
    return [
        _Effect(
            "overflows",
            bounds.product_overflows(o.x.lower_exp, o.y.lower_exp, o.max_exp),
            o.out.overflow > 0,
            finite & ~bounds.product_is_safe(o.x.max_exp, o.y.max_exp, o.max_exp),
            _share(o.out.overflow, o.out.size),
        ),
        _Effect(
            "vanishes",
            bounds.product_vanishes(o.x.upper_exp, o.y.upper_exp, subnormal),
            o.out.underflow > 0,
            least < o.min_exp,
            _share(o.out.underflow, o.out.size),
        ),
    ]


def _quotient_effects(o: Ops) -> list[_Effect]:
    largest, subnormal = o.x.max_exp - o.y.min_exp, o.min_exp - (o.precision - 1)
    return [
        _Effect(
            "overflows",
            bounds.quotient_overflows(o.x.lower_exp, o.y.upper_exp, o.max_exp),
            o.out.overflow > 0,
            ~np.isnan(largest) & ~bounds.quotient_is_safe(o.x.max_exp, o.y.min_exp, o.max_exp),
            _share(o.out.overflow, o.out.size),
        ),
        _Effect(
            "vanishes",
            bounds.quotient_vanishes(o.x.upper_exp, o.y.lower_exp, subnormal),
            o.out.underflow > 0,
            o.x.min_exp - o.y.max_exp - 1 < o.min_exp,
            _share(o.out.underflow, o.out.size),
        ),
    ]


def _dot_effects(o: Ops) -> list[_Effect]:
    """Products summed; their number is at most sqrt(|x| |y| / |out|), exactly so without a batch axis."""
    length = np.maximum(np.sqrt(o.x.size * o.y.size / o.out.size), 1)
    known = ~np.isnan(o.x.max_exp + o.y.max_exp)
    unsafe = known & ~bounds.dot_is_safe(o.x.max_exp, o.y.max_exp, length, o.max_exp)
    return [_Effect("overflows", never(o), never(o), unsafe, np.full(len(length), np.nan))]
