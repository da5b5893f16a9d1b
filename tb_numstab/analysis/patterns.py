"""Unstable patterns in the graph: the questions behind the hazard rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.analysis.guards import DEPTH, Guards, Test
from tb_numstab.analysis.ops import Ops
from tb_numstab.schema.ops import Role

TRAPS = ("log", "log1p", "div", "reciprocal", "rsqrt", "pow", "inverse-trig")
"""Families whose gradient multiplies by an infinity at the pole, also where tf.where selects the other
branch. Sqrt is none of them: TensorFlow's SqrtGrad gives 0 for a zero upstream gradient."""

MAKERS = ("__init__", "build", "<module>", "<listcomp>")
"""Functions in which layers are made."""

BESIDE_POLE = 2.0**-4
"""Distance of 1 + x from 0 at which log1p(x) counts as close to its pole."""


def never(o: Ops) -> Mask:
    """None of the slots; also the precondition of a rule whose findings the engine makes itself."""
    return np.zeros(len(o.slots), bool)


def structural(test: Test) -> Callable[[Ops], Mask]:
    """A precondition that the graph alone decides."""
    return lambda o: np.array([test(o.graph.guards, int(s)) for s in o.slots], bool)


def always(o: Ops) -> Mask:
    """Whatever was measured."""
    return np.ones(len(o.slots), bool)


def literals(graph: OpGraph) -> Mask:
    """Slots that hold a number of the program's text, bool [N]."""
    return graph.carrying(graph.role(Role.CONSTANT), graph.mask("move", "cast", "neg"))


def logits(graph: OpGraph) -> Mask:
    """Arguments of a Softmax, and sums on the way there: what a mask is added to, bool [N]."""
    return graph.feeding(graph.as_mask(graph.x[graph.members("softmax", "log-softmax")]), graph.mask("add", "move"))


def computed(g: Guards, slot: int) -> bool:
    """The user's own arithmetic: a forward op, or an op of a hand-written gradient."""
    site = g.graph.sites[slot]
    return site.role is Role.FORWARD or (site.role is Role.GRADIENT and site.gradient_of < 0)


def log_of_probability(g: Guards, slot: int) -> bool:
    """Log of a Softmax or Sigmoid result, or of 1 minus it, with nothing to keep it from 0."""
    if not g.differentiated[slot]:
        return False
    value, complement = g.x(slot), False
    for _ in range(DEPTH):
        family = g.family(value)
        if family in ("softmax", "sigmoid"):
            return True
        if family == "sub":
            if not _is_literal(g, g.x(value)) or g.below(g.y(value), 1.0):
                return False
            value, complement = g.y(value), True
        elif family in ("move", "cast") or (complement and family == "clip"):  # one that lets 1 pass
            value = g.x(value)
        elif family == "select" and not _guarding(g, value):
            value = g.x(value)
        else:
            return False
    return False


def log_of_1_minus_exp_possible(g: Guards, slot: int) -> bool:
    """Log of 1 - exp(x) whose gradient is taken, with nothing to keep exp(x) below 1."""
    difference = g.x(slot)
    if not g.differentiated[slot] or g.family(difference) != "sub" or not _is_literal(g, g.x(difference)):
        return False
    power = g.y(difference)
    return g.reaches(power, ("exp",), ("move", "cast", "clip")) and not g.below(power, 1.0)


def _is_literal(g: Guards, slot: int) -> bool:
    return slot >= 0 and g.is_number(slot)


def _guarding(g: Guards, select: int) -> bool:
    """One branch of a tf.where is a number: a guard, not a choice between two computed values."""
    return any(branch < 0 or g.is_number(branch) for branch in (g.x(select), g.y(select)))


def pole_operand(g: Guards, slot: int) -> int:
    """The operand that must not reach the pole: the denominator, or the argument of a function; -1 for none."""
    return g.y(slot) if g.family(slot) == "div" else g.x(slot)


def where_trap(g: Guards, slot: int) -> bool:
    """A branch of tf.where computed from an operand that no tf.where, clip or epsilon has made safe."""
    family, operand = g.family(slot), pole_operand(g, slot)
    if not (g.in_branch[slot] and _meets_gradient(g, slot)) or operand < 0 or g.is_number(operand):
        return False
    if family == "div" and g.graph.sites[operand].shape == ():
        return False
    if family == "pow" and not _root_exponent(g, slot):
        return False
    return not g.positive(operand) and not _made_safe(g, operand)


def _made_safe(g: Guards, slot: int) -> bool:
    """A selected or clipped value, or a function of it: it is as safe as that value was made."""
    for _ in range(DEPTH):
        if g.family(slot) in ("select", "clip"):
            return True
        if g.family(slot) not in ("move", "cast", "neg", "mul", "add", "sub", "exp", "log1p", "square", "sqrt"):
            return False
        slot = g.y(slot) if _is_literal(g, g.x(slot)) else g.x(slot)
    return False


def _meets_gradient(g: Guards, slot: int) -> bool:
    """A gradient is taken through the op, or through a product with its result, which multiplies by it."""
    return bool(g.differentiated[slot]) or any(g.differentiated[p] for p in g.readers(slot, "mul"))


def _root_exponent(g: Guards, slot: int) -> bool:
    """The exponent of a Pow is a literal between 0 and 1: infinite slope at 0, NaN below."""
    exponent = g.y(slot)
    return exponent >= 0 and 0 < g.number(exponent, "min") < 1


def root_of_squares(g: Guards, slot: int) -> bool:
    """A root whose gradient is taken, of a sum of squares that may be 0."""
    return _bare_root(g, slot) and never_negative(g, g.x(slot))


def root_of_anything(g: Guards, slot: int) -> bool:
    """A root whose gradient is taken, of an operand that may be 0 or less."""
    return _bare_root(g, slot) and not never_negative(g, g.x(slot))


def never_negative(g: Guards, slot: int) -> bool:
    """A sum of squares, its root, or a ReLU."""
    for _ in range(DEPTH):
        if g.family(slot) not in ("sum", "mean", "move", "cast", "sqrt"):
            break
        slot = g.x(slot)
    return slot < 0 or g.squares(slot) or g.rectified(slot)


def _bare_root(g: Guards, slot: int) -> bool:
    """A root whose gradient is taken, of an operand that may be 0; not one that only tf.where reads."""
    readers = [g.family(reader) for reader in _forward_readers(g, slot)]
    chosen_away = bool(readers) and all(family == "select" for family in readers)
    return bool(g.differentiated[slot]) and not chosen_away and not g.positive(g.x(slot))


def _forward_readers(g: Guards, slot: int) -> list[int]:
    return [c for c in g.graph.consumers(slot).tolist() if g.graph.sites[c].role is Role.FORWARD]


def small_exponent(o: Ops) -> Mask:
    """An exponent below 1, which makes the gradient of a power infinite at 0."""
    fractional = (o.y.min > 0) & (o.y.max < 1)
    return np.asarray(fractional | (o.y.max < 0))


def bare_power(g: Guards, slot: int) -> bool:
    """A power whose gradient is taken, of a base that may be 0."""
    forward = g.graph.sites[slot].role is Role.FORWARD and bool(g.differentiated[slot])
    return forward and not g.positive(g.x(slot))


def at_edge(g: Guards, slot: int) -> bool:
    """An inverse function whose operand nothing keeps inside (-1, 1), where the slope is infinite."""
    has_edges = g.graph.sites[slot].op_type in ("Acos", "Asin", "Atanh")
    return has_edges and bool(g.differentiated[slot]) and not g.below(g.x(slot), 1.0)


def bare_denominator(g: Guards, slot: int) -> bool:
    """A denominator (or argument of Log, Rsqrt) of the user's own that is 0 when everything behind it is."""
    own = computed(g, slot) and not _of_library_layer(g, slot) and not _clipped_after(g, slot)
    return own and g.vanishing(pole_operand(g, slot)) is not None


def _of_library_layer(g: Guards, slot: int) -> bool:
    """An op inside a layer of Keras itself: its line is the one that made the layer, not one of a ``call``."""
    site = g.graph.sites[slot]
    functions = [f.function for f in site.frames]
    return bool(site.layer) and bool(functions) and (functions[0] in MAKERS or "call" not in functions)


def _clipped_after(g: Guards, slot: int) -> bool:
    """Only a Minimum with a literal reads the result: min(1/sqrt(x), 1/eps)."""
    readers = _forward_readers(g, slot)
    return bool(readers) and all(
        g.graph.sites[r].op_type == "Minimum" and any(_is_literal(g, s) for s in (g.x(r), g.y(r))) for r in readers
    )


def addends_vanish(o: Ops) -> Mask:
    """All that such a denominator sums up can be 0 at once.

    Addends other than squares must be seen to be non-negative and to hold zeros; of one total over a
    tensor, additionally that it once was no larger than a single addend.
    """
    guards = o.graph.guards
    sums = (guards.vanishing(pole_operand(guards, int(slot))) or () for slot in o.slots)
    return np.array([all(_addends_vanish(o, guards, s) for s in some) for some in sums], bool)


def _addends_vanish(o: Ops, guards: Guards, slot: int) -> bool:
    rows = Columns.of(o.table, np.array([int(o.graph.x[slot]), slot]))
    addends, total = 0, 1
    zeros = rows.min[addends] >= 0 and rows.zero[addends] > 0
    return bool(zeros and (not guards.total(slot) or rows.min[total] <= rows.max[addends]))


def of_product(o: Ops) -> Mask:
    """Of the result of a product or a determinant."""
    graph = o.graph
    return o.x_among(graph.carrying(graph.mask("prod", "determinant"), graph.mask("move", "cast")))


def far_from_one(o: Ops) -> Mask:
    """The operand has used up a quarter of the format's exponents."""
    return np.asarray((o.x.min_exp <= 0.25 * o.min_exp) | (o.x.max_exp >= 0.25 * o.max_exp))


def mask_changes(o: Ops) -> Mask:
    """-Inf masks another share of the logits than before: by data, not by a constant pattern."""
    share = o.x.neg_inf / o.x.size
    before = o.memory.masked[o.x_slots]
    return np.asarray((o.x_slots >= 0) & (share > 0) & (before > 0) & (share != before) & (o.x.pos_inf == 0))
