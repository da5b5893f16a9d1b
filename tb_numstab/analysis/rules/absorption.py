"""Sums in which the smaller operand is lost, and accumulations that stop growing."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis import bounds
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops, Scope
from tb_numstab.analysis.patterns import literals, logits
from tb_numstab.analysis.rules.arithmetic import ACCUMULATE_WIDER, too_many_to_count
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role


def _meant_to_count(o: Ops) -> Mask:
    """Forward ops but for sums with a literal, an epsilon that is meant to be lost, and masks before Softmax."""
    literal = literals(o.graph)
    counts = o.graph.role(Role.FORWARD) & ~logits(o.graph)
    return o.among(counts) & ~o.x_among(literal) & ~o.y_among(literal)


def _whole_operand_lost(o: Ops) -> Mask:
    """The exponents prove that one operand changes no element of a sum.

    Left out: scalars (a weighted loss term still has its gradient); as the smaller operand a trained variable,
    since a bias starts at 0 and passes through every size, and a correction that vanishes where it is not
    needed, as in max(x, 0) + log1p(exp(-|x|)).
    """
    proven = bounds.absorbs(o.x.lower_exp, o.y.upper_exp, o.precision)
    proven |= bounds.absorbs(o.y.lower_exp, o.x.upper_exp, o.precision)
    meant = o.scope.fact(_meant_to_vanish)
    benign = np.where(o.x.max_exp < o.y.max_exp, o.x_among(meant), o.y_among(meant))
    return np.asarray(proven & _one_is_lost(o) & (o.out.operands > 1) & ~benign)


def _meant_to_vanish(s: Scope) -> Mask:
    """Trained variables, and corrections, bool [N]."""
    graph = s.graph
    trained = graph.carrying(graph.role(Role.VARIABLE) & graph.trainable, graph.mask("move", "cast"))
    return trained | graph.carrying(graph.mask("log1p", "exp", "softplus", "sigmoid"), graph.mask("move", "mul", "neg"))


def _one_is_lost(o: Ops) -> Mask:
    """The result is one of the operands in every element, as 1 - 0.001 is in bfloat16."""
    return np.asarray((o.out.absorbed == o.out.operands) & (o.out.operands > 0))


def _literals_meet(o: Ops) -> Mask:
    """A sum of two literals."""
    literal = literals(o.graph)
    return o.x_among(literal) & o.y_among(literal) & o.among(o.graph.role(Role.FORWARD))


def _narrow_with_literal(o: Ops) -> Mask:
    """A sum with a literal in a narrow format, such as 1 - rate * decay."""
    literal, forward = o.graph.role(Role.CONSTANT), o.among(o.graph.role(Role.FORWARD))
    return np.asarray(forward & o.low_precision & (o.x_among(literal) | o.y_among(literal)))


def _factor_is_one(o: Ops) -> Mask:
    """The small term of a scalar, or of a sum of literals, is lost beside 1."""
    scalar = (o.out.operands == 1) & (o.out.size == 1)
    return np.asarray(_is_one(o) & _one_is_lost(o) & (scalar | _literals_meet(o)))


def _is_one(o: Ops) -> Mask:
    return np.asarray((o.out.min == 1) & (o.out.max == 1))


def _weighs_a_variable(o: Ops) -> Mask:
    """The result is a factor of what is assigned to a variable: the weight of a running average.

    The value assigned is no factor of itself: a counter is left to the rules about updates.
    """
    graph = o.graph
    assigned = graph.as_mask(graph.y[graph.members("update")])
    weights = graph.feeding(assigned, graph.mask("add", "sub", "mul", "cast", "move"))
    return o.among(weights & ~graph.feeding(assigned, graph.mask("cast", "move")))


def _totals_of_loops(o: Ops) -> Mask:
    """Additions to a running total that a loop carries round, in a narrow format."""
    carried = (o.x_slots < 0) | o.x_among(o.graph.role(Role.CONSTANT))
    carried |= (o.y_slots < 0) | o.y_among(o.graph.role(Role.CONSTANT))
    return np.asarray(o.among(o.graph.looped) & carried & o.low_precision)


def _stagnates(o: Ops) -> Mask:
    """Half of the additions of like-signed numbers change nothing."""
    like_signed = (o.out.min >= 0) | (o.out.max <= 0)
    often = (o.out.calls > 1) & (o.out.absorbed >= 0.5 * o.out.operands)
    return np.asarray(like_signed & often & (o.out.operands > 0))


def _cumsum_stagnates(o: Ops) -> Mask:
    """A running sum of non-negative numbers has grown to where each addend is at most half an ulp."""
    return np.asarray((o.x.min >= 0) & (o.out.max_exp - o.x.max_exp >= o.precision))


RULES = (
    Rule(
        id="disparate-scale-sum",
        title="One operand of a sum is lost entirely",
        families=("add", "sub"),
        where=_meant_to_count,
        when=_whole_operand_lost,
        precondition="the smallest magnitude of one operand is at least 2^(p+2) times the largest of the other (p "
        "significant bits), so that no element changes; neither is a literal or a mask before Softmax",
        explain="{op} adds operands up to {x.top} and {y.top}: none of {out.operands:,.0f} elements changes, {f.name} "
        "keeps {f.precision} significant bits.",
        fix=Fix("Bring both operands to one scale before they meet.", "a + b", "layer_norm(a) + layer_norm(b)"),
        source="Micikevicius et al. 2018; bound p+2 tested against numpy",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.PROVEN,
        patience=3,
        once=True,
    ),
    Rule(
        id="factor-is-one",
        title="A factor that keeps nothing of its small term",
        families=("add", "sub"),
        where=lambda o: (_literals_meet(o) | _narrow_with_literal(o)) & _weighs_a_variable(o),
        when=_factor_is_one,
        precondition="a sum or difference of two literals, or in at most 11 significant bits of a literal and another "
        "number, is exactly 1, and is a factor of what a variable is set to: an average that does not follow, a decay "
        "that does nothing",
        explain="{op} of {x.max:.6g} and {y.max:.6g} is {out.max:.6g} in {f.name} ({f.precision} significant bits): to "
        "the variable that is multiplied by it the smaller number makes no difference.",
        fix=Fix(
            "Keep such a variable, and the arithmetic that changes it, in float32.",
            "average.assign((1.0 - tau) * average + tau * w)  # bfloat16",
            "average.assign((1.0 - tau) * average + tau * tf.cast(w, tf.float32))  # average in float32",
        ),
        source="d8ahazard/sd_dreambooth_extension#1415; IEEE 754-2019 4.3",
        stage=Stage.STANDING,
        certainty=Certainty.PROVEN,
        patience=3,
    ),
    Rule(
        id="literal-is-lost",
        title="A literal is lost in a sum with another one",
        families=("add", "sub"),
        where=_literals_meet,
        when=lambda o: _one_is_lost(o) & ~(_is_one(o) & _weighs_a_variable(o)),
        precondition="a sum or difference of two literals equals one of them",
        explain="{op} of {x.max:.6g} and {y.max:.6g} is {out.max:.6g} in {f.name} ({f.precision} significant bits).",
        fix=Fix("Compute the constant in Python, or in a wider format.", "one - tau", "tf.constant(1.0 - 0.001)"),
        source="IEEE 754-2019 4.3",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.PROVEN,
    ),
    Rule(
        id="accumulation-stagnates",
        title="A running total in a loop has stopped growing",
        families=("add",),
        where=_totals_of_loops,
        when=_stagnates,
        precondition="inside a loop body, in at most 11 significant bits, at least half of the like-signed additions "
        "change nothing",
        explain="{op} in a loop: {out.absorbed:,.0f} of {out.operands:,.0f} additions changed nothing; the total "
        "stands at {out.top}, and {f.name} keeps {f.precision} significant bits.",
        fix=Fix(
            "Keep the total in a wider format.", "total = tf.zeros([], x.dtype)", "total = tf.zeros([], tf.float32)"
        ),
        source="float16 stops at 2048 addends of 1, bfloat16 at 256, measured on TensorFlow 2.21",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="cumsum-stagnates",
        title="A cumulative sum has stopped growing",
        families=("cumsum",),
        when=_cumsum_stagnates,
        precondition="a Cumsum of non-negative numbers has reached 2^p times its largest addend",
        explain="{op} reached {out.top} with addends up to {x.top}: from there on they change nothing in {f.name} "
        "({f.precision} significant bits).",
        fix=Fix("Accumulate in a wider format.", "tf.cumsum(x)", "tf.cumsum(tf.cast(x, tf.float32))"),
        source="measured on TensorFlow 2.21: ones stagnate at 2048 in float16, 256 in bfloat16",
        stage=Stage.STANDING,
        certainty=Certainty.PROVEN,
        patience=3,
    ),
    Rule(
        id="mean-of-too-many",
        title="Mean of more elements than the format can count",
        families=("mean",),
        when=lambda o: too_many_to_count(o) & (o.x.nonzero > 0) & (o.out.zero == o.out.size),
        precondition="a Mean in float16 over 65520 elements or more gives 0",
        explain="{op} over {x.size:,.0f} elements gave 0: {f.name} ends at {f.max_value:.5g}, so the count is Inf.",
        fix=ACCUMULATE_WIDER,
        source="measured on TensorFlow 2.21",
        stage=Stage.STANDING,
        certainty=Certainty.PROVEN,
    ),
)
