"""How far an operand is from the edge of its op's domain, in value and in bits."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats, Pick
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.guards import DEPTH, Guards
from tb_numstab.analysis.ops import Ops, Scope
from tb_numstab.analysis.patterns import computed, never_negative, pole_operand
from tb_numstab.schema.ops import Role


def distance(o: Ops) -> Floats:
    """How far the smallest operand lies above the edge: -1 for Log1p, else 0; NaN once it has got there."""
    divides, log1p = o.among(o.graph.mask("div")), o.among(o.graph.mask("log1p"))
    above = np.where(divides, o.y.min, o.x.min) + np.where(log1p, 1.0, 0.0)
    return np.where(above > 0, above, np.nan)


def smallness(o: Ops) -> Floats:
    """Bits of the smallest operand below 1; NaN once one is zero or negative."""
    return np.asarray(-np.log2(distance(o)), np.float64)


def has_edge(o: Ops) -> Mask:
    """All but powers with a whole exponent of 0 or more, which take any base."""
    whole = (o.y.min == np.round(o.y.min)) & (o.y.max == np.round(o.y.max)) & (o.y.min >= 0)
    return np.asarray(~(o.among(o.graph.mask("pow")) & whole))


def has_pole(o: Ops) -> Mask:
    """All but powers with a positive exponent, which are 0 at 0."""
    return np.asarray(~o.among(o.graph.mask("pow")) | (o.y.min < 0))


def may_cross_edge(g: Guards, slot: int) -> bool:
    """The user's own op, whose operand can change its sign and is kept above the edge by nothing.

    A square root must have its gradient taken: those of moments and norms otherwise only come close to 0.
    """
    if g.family(slot) == "sqrt" and not g.differentiated[slot]:
        return False
    operand = pole_operand(g, slot)
    unguarded = _unguarded(g, slot, operand) or _number_added(g, operand)
    return computed(g, slot) and unguarded and not never_negative(g, operand)


def _number_added(g: Guards, slot: int) -> bool:
    """``1 + a``: no guard once ``a`` is negative, see addends_cancel."""
    return g.family(slot) == "add" and any(s >= 0 and g.is_number(s) for s in (g.x(slot), g.y(slot)))


def addends_cancel(o: Ops) -> Mask:
    """Operands that are no sum with a number, and sums whose other addend holds negative numbers."""
    number_added, x, y = o.scope.fact(_addends)
    least = np.fmin(Columns.of(o.table, x).min, Columns.of(o.table, y).min)
    return np.asarray(~number_added | (least < 0))


def _addends(s: Scope) -> tuple[Mask, Pick, Pick]:
    """Which operands are sums with a number, and the addends of those that are sums."""
    graph = s.graph
    numbers = graph.role(Role.CONSTANT) | (graph.role(Role.INPUT) & graph.scalar)
    operands = np.where(graph.mask("div")[s.slots], s.y.slots, s.x.slots)
    x, y = graph.x[operands], graph.y[operands]
    number_added = graph.mask("add")[operands] & (((x >= 0) & numbers[x]) | ((y >= 0) & numbers[y]))
    return number_added, Pick(x), Pick(y)


def may_vanish(g: Guards, slot: int) -> bool:
    """A logarithm, or another op of the user or of an optimizer whose operand nothing keeps above 0."""
    own = computed(g, slot) or g.graph.sites[slot].role is Role.OPTIMIZER
    return g.family(slot) == "log" or (own and _unguarded(g, slot, pole_operand(g, slot)))


def _unguarded(g: Guards, slot: int, operand: int) -> bool:
    if operand < 0 or g.is_number(operand):
        return False
    return g.family(slot) == "log1p" or not g.positive(operand)


def bits_to_zero(o: Ops) -> Floats:
    """Bits below 1 at which each operand becomes 0, float64 [n]; see _root.

    A product or a root is 0 as soon as what it is made of is. A difference is a multiple of the last place of its
    operands, so it is 0 below that of the larger one; everything else below the smallest normal number, where
    TensorFlow's CPU kernels flush to zero.
    """
    roots, powers = o.scope.fact(_roots)
    largest = np.fmax(Columns.of(o.table, roots.x).max_exp, Columns.of(o.table, roots.y).max_exp)
    differs = roots.graph.mask("sub")[roots.slots]
    return np.asarray(-powers * np.where(differs, largest - roots.precision, roots.min_exp), np.float64)


def _roots(s: Scope) -> tuple[Scope, Floats]:
    """What _root says of each operand."""
    guards = s.graph.guards
    found = [_root(guards, pole_operand(guards, int(slot))) for slot in s.slots]
    slots, powers = np.array([r for r, _ in found], np.int64), np.array([p for _, p in found], np.float64)
    return Scope.of(s.graph, slots), powers


def _root(g: Guards, slot: int) -> tuple[int, float]:
    """The slot that vanishes first of those a value is made of, and the value's power of it: 1/2 behind Sqrt."""
    power = 1.0
    for _ in range(DEPTH):
        family, x, y = g.family(slot), g.x(slot), g.y(slot)
        if family == "mul":
            behind = y if g.positive(x) else x
        elif family in ("move", "cast", "neg", "sqrt", "div"):
            behind = x
        else:
            break
        if behind < 0:
            break
        power, slot = (0.5 * power if family == "sqrt" else power), behind
    return slot, power
