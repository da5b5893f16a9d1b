"""Unstable patterns: a pole with nothing to guard it, before any element has reached it.

Judged from the graph: which op feeds which, and what stands between. Where usual code looks the same, the
observed ranges decide. What is safe by the framework (losses from logits, layers with an epsilon,
optimizers) has its guards in the graph too, and so stays silent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.guards import DEPTH, Guards, Test
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

TRAPS = ("log", "log1p", "div", "reciprocal", "rsqrt", "pow", "inverse-trig")
"""Families whose gradient multiplies by an infinity at the pole, also where tf.where selects the other
branch. Sqrt is none of them: TensorFlow's SqrtGrad gives 0 for a zero upstream gradient."""

WIDE = 0.25
"""Share of ln(max) that arguments of exp must have reached before a missing maximum matters."""

EVERYDAY = 2.0**-7
"""Literals from here on are terms of a formula; smaller ones are epsilons."""

MAKERS = ("__init__", "build", "<module>", "<listcomp>")
"""Functions in which layers are made."""

BESIDE_POLE = 2.0**-4
"""Distance of 1 + x from 0 at which log1p(x) counts as close to its pole."""


def _structural(test: Test) -> Callable[[Ops], Mask]:
    """A precondition that the graph alone decides."""
    return lambda o: o.among(o.graph.guards.chosen(test, o.slots))


def _computed(g: Guards, slot: int) -> bool:
    """The user's own arithmetic: a forward op, or an op of a hand-written gradient."""
    site = g.graph.sites[slot]
    return site.role is Role.FORWARD or (site.role is Role.GRADIENT and site.gradient_of < 0)


def _log_of_probability(g: Guards, slot: int) -> bool:
    """Log of a Softmax or Sigmoid result, or of 1 minus it, with nothing to keep it from 0."""
    x = int(g.graph.x[slot])
    if x < 0 or not g.differentiated[slot]:
        return False
    for _ in range(DEPTH):
        family = g.graph.family(x)
        if family in ("softmax", "sigmoid"):
            return True
        if family == "sub":
            minuend, x = int(g.graph.x[x]), int(g.graph.y[x])
            if minuend < 0 or not g.is_number(minuend) or g.below(x, 1.0):
                return False
        elif family in ("move", "cast"):
            x = int(g.graph.x[x])
        elif family == "select":
            if _guarding(g, x):
                return False
            x = int(g.graph.x[x])
        else:
            return False
        if x < 0:
            return False
    return False


def _guarding(g: Guards, select: int) -> bool:
    """One branch of a tf.where is a number: a guard, not a choice between two computed values."""
    branches = int(g.graph.x[select]), int(g.graph.y[select])
    return any(b < 0 or g.is_number(b) for b in branches)


def _pole_operand(g: Guards, slot: int) -> int:
    return int(g.graph.y[slot] if g.graph.family(slot) == "div" else g.graph.x[slot])


def _where_trap(g: Guards, slot: int) -> bool:
    """A branch of tf.where computed from an operand that no tf.where, clip or epsilon has made safe."""
    family, operand = g.graph.family(slot), _pole_operand(g, slot)
    if not (g.in_branch[slot] and _meets_gradient(g, slot)) or operand < 0 or g.is_number(operand):
        return False
    if family == "div" and g.graph.sites[operand].shape == ():
        return False
    if family == "pow" and not _root_exponent(g, slot):
        return False
    return not g.positive(operand) and not g.reaches(operand, ("select", "clip"), ("move", "cast", "neg", "mul"))


def _meets_gradient(g: Guards, slot: int) -> bool:
    """A gradient is taken through the op, or through a product with its result, which multiplies by it."""
    products = (int(c) for c in g.graph.consumers(slot) if g.graph.family(int(c)) == "mul")
    return bool(g.differentiated[slot]) or any(g.differentiated[p] for p in products)


def _root_exponent(g: Guards, slot: int) -> bool:
    """The exponent of a Pow is a literal between 0 and 1: infinite slope at 0, NaN below."""
    exponent = int(g.graph.y[slot])
    constant = g.graph.sites[exponent].constant if exponent >= 0 else ()
    return bool(constant) and 0 < g.number(exponent, "min") < 1


def _bare_root(g: Guards, slot: int) -> bool:
    """A root whose gradient is taken, of an operand that may be 0; not one that only tf.where reads."""
    graph = g.graph
    forward = graph.role(Role.FORWARD)
    readers = [graph.family(int(c)) for c in graph.consumers(slot) if forward[c]]
    chosen_away = bool(readers) and all(r == "select" for r in readers)
    return bool(g.differentiated[slot]) and not chosen_away and not g.positive(int(graph.x[slot]))


def _bare_power(g: Guards, slot: int) -> bool:
    return _forward_root(g, slot) and bool(g.differentiated[slot]) and not g.positive(int(g.graph.x[slot]))


def _forward_root(g: Guards, slot: int) -> bool:
    """A Pow of the forward pass with an exponent between 0 and 1."""
    return g.graph.sites[slot].role is Role.FORWARD and g.graph.x[slot] >= 0 and _root_exponent(g, slot)


def _at_edge(g: Guards, slot: int) -> bool:
    """An inverse function whose operand nothing keeps inside (-1, 1), where the slope is infinite."""
    x = int(g.graph.x[slot])
    types = ("Acos", "Asin", "Atanh")
    return g.graph.sites[slot].op_type in types and x >= 0 and bool(g.differentiated[slot]) and not g.below(x, 1.0)


def _may_vanish(g: Guards, slot: int) -> bool:
    own = _computed(g, slot) and not _of_library_layer(g, slot) and not _clipped_after(g, slot)
    return own and g.vanishing(_pole_operand(g, slot)) is not None


def _of_library_layer(g: Guards, slot: int) -> bool:
    """An op inside a layer of Keras itself: its line is the one that made the layer, not one of a ``call``."""
    site = g.graph.sites[slot]
    functions = [f.function for f in site.frames]
    return bool(site.layer) and bool(functions) and (functions[0] in MAKERS or "call" not in functions)


def _clipped_after(g: Guards, slot: int) -> bool:
    """Only a Minimum with a literal reads the result: min(1/sqrt(x), 1/eps)."""
    graph = g.graph
    forward = graph.role(Role.FORWARD)
    readers = [int(c) for c in graph.consumers(slot) if forward[c]]
    return bool(readers) and all(
        graph.sites[r].op_type == "Minimum" and any(s >= 0 and g.is_number(s) for s in (graph.x[r], graph.y[r]))
        for r in readers
    )


def _vanishing_denominator(o: Ops) -> Mask:
    """A denominator (or argument of Log, Rsqrt) that is 0 as soon as everything it sums is.

    Addends other than squares must be seen to be non-negative and to hold zeros; of one total over a
    tensor, additionally that it once was no larger than a single addend.
    """
    guards = o.graph.guards
    found = o.among(guards.chosen(_may_vanish, o.slots))
    for index in np.flatnonzero(found):
        sums = guards.vanishing(_pole_operand(guards, int(o.slots[index]))) or ()
        found[index] = all(_addends_vanish(o, guards, s) for s in sums)
    return found


def _addends_vanish(o: Ops, guards: Guards, slot: int) -> bool:
    rows = Columns.of(o.table, np.array([int(o.graph.x[slot]), slot]))
    addends, total = 0, 1
    zeros = rows.min[addends] >= 0 and rows.zero[addends] > 0
    return bool(zeros and (not guards.total(slot) or rows.min[total] <= rows.max[addends]))


def _exp_behind(g: Guards, slot: int, through: tuple[str, ...]) -> int:
    """The unbounded Exp a value comes from, -1 when there is none."""
    for _ in range(DEPTH):
        if slot < 0:
            return -1
        family, x, y = g.graph.family(slot), int(g.graph.x[slot]), int(g.graph.y[slot])
        if family == "exp":
            return -1 if g.stabilised(x) else slot
        if family not in through:
            return -1
        slot = y if family in ("mul", "add") and (x < 0 or not _leads_to_exp(g, x)) else x
    return -1


def _leads_to_exp(g: Guards, slot: int) -> bool:
    return g.reaches(slot, ("exp",), ("mul", "div", "move", "cast", "sum", "mean"))


def _softmax_by_hand(g: Guards, slot: int) -> bool:
    """exp(z) divided by a sum of the same exp(z), the maximum not subtracted."""
    above = _exp_behind(g, int(g.graph.x[slot]), ("move", "cast", "mul"))
    return (
        _computed(g, slot)
        and above >= 0
        and above == _exp_behind(g, int(g.graph.y[slot]), ("sum", "mean", "move", "cast", "add"))
    )


def _logsumexp_by_hand(g: Guards, slot: int) -> bool:
    """Log of a sum with exp(z) in it: log(sum(exp(z))), log(1 + exp(z)), log of a mixture of densities."""
    x = int(g.graph.x[slot])
    sums = g.reaches(x, ("sum", "mean"), ("move", "cast")) or _adds_to_one(g, x)
    return _computed(g, slot) and sums and _exp_behind(g, x, ("sum", "mean", "move", "cast", "add", "mul", "div")) >= 0


def _adds_to_one(g: Guards, slot: int) -> bool:
    """A literal of everyday size is added, as in log(1 + exp(z)); an epsilon is none."""
    operands = (int(g.graph.x[slot]), int(g.graph.y[slot]))
    literals = [s for s in operands if s >= 0 and g.is_number(s)]
    return g.graph.family(slot) == "add" and any(g.number(s, "max") >= EVERYDAY for s in literals)


def _wide_exponents(o: Ops) -> Mask:
    """Bool [N]: Exp ops whose arguments have gone beyond WIDE of ln(max), in either direction."""
    slots = o.graph.members("exp")
    magnitude = Columns.of(o.table, o.graph.x[slots]).magnitude
    return o.graph.as_mask(slots[magnitude > WIDE * (o.graph.max_exp[slots] + 1) * np.log(2)])


def _unstable(test: Test, through: tuple[str, ...]) -> Callable[[Ops], Mask]:
    """A hand-written formula, once the arguments of its Exp are large."""

    def when(o: Ops) -> Mask:
        found, wide = o.among(o.graph.guards.chosen(test, o.slots)), _wide_exponents(o)
        for index in np.flatnonzero(found):
            found[index] = wide[_exp_behind(o.graph.guards, int(o.x_slots[index]), through)]
        return found

    return when


def _mask_changes(o: Ops) -> Mask:
    """-Inf masks another share of the logits than before: by data, not by a constant pattern."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = o.x.neg_inf / o.x.size
    before = o.memory.masked[o.x_slots]
    return np.asarray((o.x_slots >= 0) & (share > 0) & (before > 0) & (share != before) & (o.x.pos_inf == 0))


def _hazard(
    id: str, title: str, families: tuple[str, ...], when: Callable[[Ops], Mask], precondition: str, explain: str,
    fix: Fix, source: str,
) -> Rule:  # fmt: skip
    return Rule(
        id=id,
        title=title,
        families=families,
        when=when,
        precondition=precondition,
        explain=explain,
        fix=fix,
        source=source,
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
    )


RULES = (
    _hazard(
        "log-of-probability",
        "Logarithm of a probability without a guard",
        ("log",),
        _structural(_log_of_probability),
        "the argument of Log is the result of Softmax or Sigmoid, or 1 minus it, no positive constant is added and no "
        "clip keeps it from 0, and a gradient is taken",
        "{op} gets probabilities, now down to {x.min:.3g}, with nothing to keep them from 0: one that underflows "
        "gives -Inf.",
        Fix(
            "Compute the logarithm from the logits in one op.",
            "tf.math.log(tf.nn.softmax(z)); tf.math.log(1.0 - tf.sigmoid(z))",
            "tf.nn.log_softmax(z); tf.math.log_sigmoid(-z)",
        ),
        "GRIST (ICSE 2022); tf.nn.sigmoid_cross_entropy_with_logits",
    ),
    _hazard(
        "softmax-by-hand",
        "Softmax without its maximum subtracted",
        ("div",),
        _unstable(_softmax_by_hand, ("move", "cast", "mul")),
        "exp(z) is divided by a sum of the same exp(z), the maximum is not subtracted, z is not clipped, and |z| has "
        "passed a quarter of ln(max)",
        "{op} normalises exponentials between {x.min:.3g} and {x.max:.3g}: exp overflows {f.name} above "
        "{f.exp_overflow:.2f}, and a row below {f.exp_underflow:.2f} is 0/0.",
        Fix(
            "Use the op that subtracts the maximum.",
            "tf.exp(z) / tf.reduce_sum(tf.exp(z), 1, keepdims=True)",
            "tf.nn.softmax(z)",
        ),
        "GRIST ID 11; brain-research/tensorfuzz",
    ),
    _hazard(
        "logsumexp-by-hand",
        "Logarithm of a sum of exponentials",
        ("log",),
        _unstable(_logsumexp_by_hand, ("sum", "mean", "move", "cast", "add", "mul", "div")),
        "the argument of Log is a sum with exp(z) in it, the maximum is not subtracted, z is not clipped, and |z| has "
        "passed a quarter of ln(max)",
        "{op} gets sums of exponentials between {x.min:.3g} and {x.max:.3g}: they overflow above "
        "{f.exp_overflow:.2f}, and are 0 below {f.exp_underflow:.2f}.",
        Fix(
            "Stay in log space.",
            "tf.math.log(tf.reduce_sum(tf.exp(z), 1)); tf.math.log(1.0 + tf.exp(z))",
            "tf.reduce_logsumexp(z, 1); tf.nn.softplus(z)",
        ),
        "tensorflow/tensorflow#172; keras-team/keras#2586",
    ),
    _hazard(
        "where-trap-possible",
        "tf.where over a branch with an unguarded pole",
        TRAPS,
        _structural(_where_trap),
        "a branch of tf.where comes from Log, Log1p, RealDiv, Reciprocal, Rsqrt, Pow, Acos, Asin or Atanh of an "
        "operand that is neither selected, clipped nor guarded itself, and a gradient is taken",
        "{op} is computed for all elements, also for those that tf.where throws away: should one of them sit on the "
        "pole, its gradient is 0 * Inf = NaN.",
        Fix(
            "Make the argument safe first, then select: the double tf.where.",
            "tf.where(x > 0.0, tf.math.log(x), 0.0)",
            "safe = tf.where(x > 0.0, x, 1.0)\ntf.where(x > 0.0, tf.math.log(safe), 0.0)",
        ),
        "tensorflow/tensorflow#38349, #20091, #27684",
    ),
    _hazard(
        "root-of-zero-possible",
        "Square root without a guard",
        ("sqrt",),
        _structural(_bare_root),
        "a gradient is taken through Sqrt (a norm, a standard deviation), and no positive constant is added and no "
        "clip keeps its operand from 0",
        "{op} gets values down to {x.min:.3g} with nothing to keep them from 0, where the derivative is infinite.",
        Fix(
            "Put a small constant inside the root.",
            "tf.sqrt(tf.reduce_sum(tf.square(a - b), 1))",
            "tf.sqrt(tf.reduce_sum(tf.square(a - b), 1) + 1e-12)",
        ),
        "tensorflow/tensorflow#4914, #30199, #12071",
    ),
    _hazard(
        "power-of-zero-possible",
        "Fractional power without a guard",
        ("pow",),
        _structural(_bare_power),
        "a gradient is taken through Pow with a literal exponent between 0 and 1, and nothing keeps its base from 0",
        "{op} to the power {y.min:.3g} gets values down to {x.min:.3g} with nothing to keep them above 0: at 0 the "
        "derivative is infinite, below it the result is NaN.",
        Fix("Keep the base away from 0.", "x ** 0.5", "tf.maximum(x, 1e-7) ** 0.5"),
        "kornia/kornia#918; RANUM (ICSE 2023)",
    ),
    _hazard(
        "edge-of-domain-possible",
        "Inverse function up to the edge of its domain",
        ("inverse-trig",),
        _structural(_at_edge),
        "a gradient is taken through Acos, Asin or Atanh, and no clip keeps the operand strictly inside (-1, 1)",
        "{op} gets arguments up to {x.max:.9g} with nothing to keep them below 1, where the derivative is infinite.",
        Fix(
            "Clip just inside the domain.",
            "tf.acos(tf.clip_by_value(x, -1.0, 1.0))",
            "tf.acos(tf.clip_by_value(x, -1 + 1e-6, 1 - 1e-6))",
        ),
        "tensorflow/tensorflow#57786; measured on TensorFlow 2.21",
    ),
    _hazard(
        "denominator-may-vanish",
        "A denominator that can become zero",
        ("div", "reciprocal", "rsqrt", "log"),
        _vanishing_denominator,
        "a denominator (or the argument of Rsqrt or Log) is a ReLU, a norm or standard deviation, or a sum or mean of "
        "non-negative values that hold zeros, without an epsilon, a clip or a tf.where",
        "The denominator (or argument) of {op} becomes 0 as soon as everything summed in it is 0: no epsilon, clip or "
        "tf.where keeps it from that.",
        Fix(
            "Add a small constant, or give 0 where the denominator is 0.",
            "total / tf.reduce_sum(mask, 1)",
            "tf.math.divide_no_nan(total, tf.reduce_sum(mask, 1))  # norms: tf.math.l2_normalize",
        ),
        "jakeret/tf_unet#74; tensorflow/tensorflow#35257, #20091",
    ),
    _hazard(
        "log1p-near-pole",
        "Log1p close to its pole",
        ("log1p",),
        lambda o: o.x.min <= BESIDE_POLE - 1,
        "an argument of Log1p is below -15/16",
        "{op} gets arguments down to {x.min:.9g}; at -1 the logarithm is -Inf.",
        Fix("Keep the argument above -1.", "tf.math.log1p(-a)", "tf.math.log1p(-tf.minimum(a, 1.0 - 1e-6))"),
        "denisyarats/pytorch_sac#7",
    ),
    _hazard(
        "mask-may-cover-a-row",
        "-Inf masks logits by data",
        ("softmax", "log-softmax"),
        _mask_changes,
        "the logits of Softmax hold -Inf, and the masked share changes from record to record",
        "{op} gets -Inf in {x.neg_inf:,.0f} of {x.size:,.0f} logits, and the share changes with the data: a row "
        "masked everywhere gives 0/0 = NaN.",
        Fix(
            "Mask with a large finite number (-6e4 in float16).",
            "tf.where(mask, scores, -np.inf)",
            "tf.where(mask, scores, -1e9)",
        ),
        "pytorch/pytorch#131060; allenai/allennlp#890",
    ),
)
