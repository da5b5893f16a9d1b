"""Quantities on their way to a limit."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.domain import (
    addends_cancel,
    bits_to_zero,
    distance,
    has_edge,
    has_pole,
    may_cross_edge,
    may_vanish,
    smallness,
)
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import structural
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


def _edge_figures(o: Ops, index: int) -> dict[str, float]:
    edge = -1.0 if o.graph.family(int(o.slots[index])) == "log1p" else 0.0
    return {"smallest": float(distance(o)[index]) + edge, "edge": edge}


def _last_figures(o: Ops, index: int) -> dict[str, float]:
    return {"smallest": float(distance(o)[index]), "last": 2.0 ** -float(bits_to_zero(o)[index])}


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
        id="operand-underflows",
        title="An operand shrinks towards zero",
        families=("log", "div", "reciprocal", "rsqrt", "pow"),
        where=structural(may_vanish),
        when=lambda o: has_pole(o) & (smallness(o) > 0.25 * bits_to_zero(o)),
        precondition="the smallest denominator, or argument of Log, Rsqrt or Pow, shrinks steadily by at least 4 bits "
        "over at most 16 records, has used up a quarter of the bits down to where it, or what it is the root, product "
        "or quotient of, becomes 0, and meets that within four times the steps looked at; but for Log, nothing in the "
        "graph keeps it above 0",
        explain="{op} gets operands down to {n.smallest:.3g}, and they shrink by a steady factor; below about "
        "{n.last:.2g} they are 0, and the result is not finite.",
        figures=_last_figures,
        fix=Fix(
            "Keep the operand away from 0.",
            "gradient / tf.sqrt(mean_square)",
            "gradient / (tf.sqrt(mean_square) + 1e-7)",
        ),
        fixes=(
            (
                lambda o: o.among(o.graph.mask("log")),
                Fix(
                    "Compute the logarithm from the logits in one op, or keep the argument away from 0.",
                    "tf.math.log(tf.nn.softmax(z))",
                    "tf.nn.log_softmax(z)",
                ),
            ),
        ),
        source="DEBAR (ESEC/FSE 2020); Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(value=smallness, limit=bits_to_zero, change=4.0, event="becomes 0"),
    ),
    Rule(
        id="operand-towards-pole",
        title="An operand falls towards the edge of its op's domain",
        families=("div", "reciprocal", "sqrt", "rsqrt", "pow", "log", "log1p", "polygamma"),
        where=lambda o: structural(may_cross_edge)(o) & o.among(o.graph.reaches_result),
        when=lambda o: has_edge(o) & addends_cancel(o),
        precondition="the smallest denominator, argument of Log, Sqrt, Rsqrt, Digamma or Lgamma, or base of a Pow "
        "falls steadily and does not slow down, has come half the way to 0 (Log1p: to -1) over at most 16 records, "
        "and nothing in the graph keeps it above",
        explain="{op} gets operands down to {n.smallest:.4g}, and they fall; at {n.edge:.0f} or below, the result or "
        "its gradient is not finite.",
        figures=_edge_figures,
        fix=Fix(
            "Keep the operand above the edge.",
            "a / b; tf.math.log(x)",
            "a / tf.maximum(b, 1e-6); tf.math.log(tf.maximum(x, 1e-12))",
        ),
        source="Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(
            value=lambda o: -distance(o),
            limit=lambda o: np.zeros(len(o.slots)),
            change=0.0,
            event="reaches the edge",
            horizon=1.0,
            steady=True,
        ),
    ),
    Rule(
        id="accumulator-towards-overflow",
        title="An accumulator in float16 grows towards overflow",
        families=("update",),
        when=lambda o: o.narrow_range & (o.out.magnitude >= 2.0**o.max_exp),
        precondition="a variable in float16 that is added to grows steadily, is beyond half of the largest number, and "
        "meets it within four times the steps looked at",
        explain="{op} adds to {variable}, which has reached {out.magnitude:.5g} and grows; {f.name} ends at "
        "{f.max_value:.5g}.",
        fix=Fix(
            "Keep the sum in float32.",
            "total = tf.Variable(tf.zeros(shape, tf.float16))",
            "total = tf.Variable(tf.zeros(shape, tf.float32))",
        ),
        source="keras-team/keras#12947; Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(
            value=lambda o: o.out.magnitude,
            limit=lambda o: 2.0 ** (o.max_exp + 1),
            change=0.0,
            event="overflows",
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
