"""Quantities on their way to a limit."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
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
    scaled = o.among(o.graph.role(Role.GRADIENT, Role.OPTIMIZER)) & (o.max_exp < 16)
    computed = ~o.among(o.graph.role(Role.CONSTANT, Role.INPUT))
    return np.asarray(computed & ~scaled & ~state & (o.out.max_exp >= np.minimum(16, o.max_exp / 2)))


def _exp_limit(o: Ops) -> Floats:
    return np.asarray((o.max_exp + 1) * np.log(2), np.float64)


def _smallness(o: Ops) -> Floats:
    """Bits of the smallest operand below 1; NaN once one is zero or negative."""
    return np.where((o.x.min > 0) & (o.x.zero == 0), -np.log2(o.x.min), np.nan)


RULES = (
    Rule(
        id="exp-growing-towards-overflow",
        title="Arguments of an exponential grow towards overflow",
        families=("exp",),
        when=lambda o: o.x.max > 0.25 * _exp_limit(o),
        precondition="the largest argument rises steadily, is beyond a quarter of ln(max), and meets it within four "
        "times the steps looked at",
        explain="{op} gets arguments up to {x.max:.4g}, and they grow; exp overflows {f.name} above "
        "{f.exp_overflow:.2f}.",
        fix=Fix(
            "Subtract the maximum first, or use the op that does it.",
            "tf.exp(z) / tf.reduce_sum(tf.exp(z), 1, keepdims=True)",
            "tf.nn.softmax(z)",
        ),
        source="DEBAR (ESEC/FSE 2020); Theil-Sen slope over the records",
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        trend=Trend(value=lambda o: o.x.max, limit=_exp_limit, change=4.0, event="overflows"),
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
