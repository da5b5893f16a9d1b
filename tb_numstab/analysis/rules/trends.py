"""Quantities on their way to a limit."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.guards import Guards
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import always, pole_operand, structural
from tb_numstab.analysis.rules.exp import BY_HAND
from tb_numstab.analysis.rules.rule import Rule, Stage, Trend
from tb_numstab.schema.ops import Role


def _bits(o: Ops) -> Floats:
    """log2 of the largest magnitude."""
    return np.where(o.out.magnitude > 0, np.log2(o.out.magnitude), np.nan)


def _large(o: Ops) -> Mask:
    """Beyond what healthy tensors of the format hold: half the way from 1 to the top in float16, 2^16 else.

    Gradients in float16 are left to the loss scale, which drives them to the limit on purpose; so are
    variables that are not trained, such as that scale.
    """
    state = o.among(o.graph.role(Role.VARIABLE, Role.UPDATE) & ~o.graph.trainable)
    scaled = o.among(o.graph.role(Role.GRADIENT, Role.OPTIMIZER)) & o.narrow_range
    computed = ~o.among(o.graph.role(Role.CONSTANT, Role.INPUT))
    return np.asarray(computed & ~scaled & ~state & (o.out.max_exp >= np.minimum(16, o.max_exp / 2)))


def _smallness(o: Ops) -> Floats:
    """Bits of the smallest operand below 1; NaN once one is zero or negative."""
    return np.where((o.x.min > 0) & (o.x.zero == 0), -np.log2(o.x.min), np.nan)


def _distance(o: Ops) -> Floats:
    """How far the smallest operand lies above the pole: -1 for Log1p, else 0; NaN once it has got there."""
    divides, log1p = o.among(o.graph.mask("div")), o.among(o.graph.mask("log1p"))
    distance = np.where(divides, o.y.min, o.x.min) + np.where(log1p, 1.0, 0.0)
    return np.where(distance > 0, distance, np.nan)


def _pole_figures(o: Ops, index: int) -> dict[str, float]:
    pole = -1.0 if o.graph.family(int(o.slots[index])) == "log1p" else 0.0
    return {"smallest": float(_distance(o)[index]) + pole, "pole": pole}


def _may_reach_pole(g: Guards, slot: int) -> bool:
    """Nothing keeps the operand above the pole, and no trained variable decides it: a schedule, or the data.

    What is trained may well stop short of the pole.
    """
    graph, operand = g.graph, pole_operand(g, slot)
    if graph.sites[slot].role is not Role.FORWARD or operand < 0 or g.is_number(operand):
        return False
    if g.family(slot) != "log1p" and g.positive(operand):
        return False
    behind = graph.feeding(graph.as_mask([operand]), graph.role(Role.FORWARD), graph.size)
    return not (behind & graph.trainable).any()


RULES = (
    Rule(
        id="exp-growing-towards-overflow",
        title="Arguments of an exponential grow towards overflow",
        families=("exp",),
        when=lambda o: o.x.max > 0.25 * o.exp_overflow,
        precondition="the largest argument rises steadily, is beyond a quarter of ln(max), and meets it within four "
        "times the steps looked at",
        explain="{op} gets arguments up to {x.max:.4g}, and they grow; exp overflows {f.name} above "
        "{f.exp_overflow:.2f}.",
        fix=Fix(
            "Subtract the maximum first, or use the op that does it.",
            "tf.exp(z) / tf.reduce_sum(tf.exp(z), 1, keepdims=True)",
            "tf.nn.softmax(z)",
        ),
        fixes=BY_HAND,
        source="DEBAR (ESEC/FSE 2020); Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(value=lambda o: o.x.max, limit=lambda o: o.exp_overflow, change=4.0, event="overflows"),
    ),
    Rule(
        id="log-argument-towards-zero",
        title="Arguments of a logarithm shrink towards zero",
        families=("log",),
        when=lambda o: _smallness(o) > -0.25 * o.min_exp,
        precondition="the smallest argument shrinks steadily, is below 2^-31 (2^-3 in float16), and meets the smallest "
        "normal number within four times the steps looked at",
        explain="{op} gets arguments down to {x.min:.3g}, and they shrink; below {f.min_normal:.3g} they become 0 and "
        "the logarithm -Inf.",
        fix=Fix(
            "Compute the logarithm from the logits in one op, or keep the argument away from 0.",
            "tf.math.log(tf.nn.softmax(z))",
            "tf.nn.log_softmax(z)",
        ),
        source="DEBAR (ESEC/FSE 2020); Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(value=_smallness, limit=lambda o: -o.min_exp, change=8.0, event="underflows to 0"),
    ),
    Rule(
        id="operand-towards-pole",
        title="An operand falls towards a pole",
        families=("div", "reciprocal", "rsqrt", "log", "log1p", "polygamma"),
        where=lambda o: structural(_may_reach_pole)(o) & o.among(o.graph.reaches_result),
        when=always,
        precondition="the smallest denominator, or argument of Log, Rsqrt, Digamma or Lgamma, falls steadily, has come "
        "half the way to 0 (Log1p: to -1) over at most 16 records, nothing in the graph keeps it above, and no trained "
        "variable decides it",
        explain="{op} gets operands down to {n.smallest:.4g}, and they fall; at {n.pole:.0f} the result is not finite.",
        figures=_pole_figures,
        fix=Fix(
            "Keep the operand above the pole.",
            "a / b; tf.math.log(x)",
            "a / tf.maximum(b, 1e-6); tf.math.log(tf.maximum(x, 1e-12))",
        ),
        source="Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(
            value=lambda o: -_distance(o),
            limit=lambda o: np.zeros(len(o.slots)),
            change=0.0,
            event="reaches the pole",
            horizon=1.0,
        ),
    ),
    Rule(
        id="growing-towards-overflow",
        title="Values grow towards overflow",
        families=(),
        when=_large,
        precondition="the largest magnitude rises steadily by at least 8 bits over at most 16 records, is beyond 2^16 "
        "(2^7 in float16), and meets the format's limit within four times the steps looked at",
        explain="{op} has reached {out.magnitude:.3g}, and grows; {f.name} ends at {f.max_value:.3g}.",
        fix=Fix(
            "Lower the learning rate, or clip the gradients.",
            "keras.optimizers.SGD(1e-1)",
            "keras.optimizers.SGD(1e-2, global_clipnorm=1.0)",
        ),
        source="Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        once=True,
        trend=Trend(value=_bits, limit=lambda o: o.max_exp + 1, change=8.0, event="overflows"),
    ),
)
