"""Exp, Expm1, Sinh, Cosh."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.formulas import sigmoid_by_hand, softplus_by_hand
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import structural
from tb_numstab.analysis.rules.rule import Rule, Stage


def _near_overflow(o: Ops) -> Mask:
    """The largest argument is beyond 60 % of the overflow threshold, ln(max): 1e23 in float32; 80 % in float16."""
    share = np.where(o.narrow_range, 0.8, 0.6)
    return np.asarray((o.x.max > share * o.exp_overflow) & (o.x.max <= o.exp_overflow))


def _hyperbolic_near_overflow(o: Ops) -> Mask:
    """The largest argument of either sign lies within 20 % of the overflow threshold, ln(2 max)."""
    threshold = o.exp_overflow + np.log(2)
    return np.asarray((o.x.magnitude > 0.8 * threshold) & (o.x.magnitude <= threshold))


_FIX = Fix(
    "Subtract the maximum first, or use the op that does it.",
    "tf.exp(z) / tf.reduce_sum(tf.exp(z), 1, keepdims=True)",
    "tf.nn.softmax(z)  # tf.reduce_logsumexp(z, 1) for the logarithm of the sum",
)

BY_HAND = (
    (
        structural(sigmoid_by_hand),
        Fix("Use the op that does not overflow.", "tf.exp(x) / (1.0 + tf.exp(x))", "tf.sigmoid(x)"),
    ),
    (
        structural(softplus_by_hand),
        Fix("Use the op that does not overflow.", "tf.math.log(1.0 + tf.exp(x))", "tf.nn.softplus(x)"),
    ),
)
"""Formulas with an op of their own, and the fix that names it."""

_HYPERBOLIC_FIX = Fix(
    "Take the exponential out of the formula by hand.",
    "tf.math.log(tf.cosh(x))",
    "x + tf.math.softplus(-2 * x) - np.log(2)  # or keras.losses.LogCosh()",
)

RULES = (
    Rule(
        id="exp-overflow",
        title="Exponential overflows",
        families=("exp",),
        when=lambda o: o.out.inf > 0,
        precondition="an argument exceeds ln(max) and the result holds Inf",
        explain="{op} got arguments up to {x.max:.4g}; exp overflows {f.name} above {f.exp_overflow:.2f}.",
        blame="x.large",
        fix=_FIX,
        fixes=BY_HAND,
        source="DEBAR (ESEC/FSE 2020); IEEE 754-2019 7.4; float32 threshold 88.72 measured on TensorFlow 2.21",
    ),
    Rule(
        id="exp-near-overflow",
        title="Exponential close to overflow",
        families=("exp",),
        when=_near_overflow,
        precondition="the largest argument is above 60 % of ln(max), in float16 above 80 %",
        explain="{op} gets arguments up to {x.max:.4g}; exp overflows {f.name} above {f.exp_overflow:.2f}.",
        fix=_FIX,
        fixes=BY_HAND,
        source="DEBAR (ESEC/FSE 2020)",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
    ),
    Rule(
        id="hyperbolic-overflow",
        title="Hyperbolic sine or cosine overflows",
        families=("hyperbolic",),
        when=lambda o: o.out.inf > 0,
        precondition="the magnitude of an argument exceeds ln(2 max) and the result holds Inf",
        explain="{op} got arguments of magnitude up to {x.magnitude:.4g}; it overflows {f.name} beyond "
        "{f.hyperbolic_overflow:.2f}.",
        blame="x.large",
        fix=_HYPERBOLIC_FIX,
        source="DEBAR (ESEC/FSE 2020); IEEE 754-2019 7.4",
    ),
    Rule(
        id="hyperbolic-near-overflow",
        title="Hyperbolic sine or cosine close to overflow",
        families=("hyperbolic",),
        when=_hyperbolic_near_overflow,
        precondition="the largest magnitude of an argument is above 80 % of ln(2 max)",
        explain="{op} gets arguments of magnitude up to {x.magnitude:.4g}; it overflows {f.name} beyond "
        "{f.hyperbolic_overflow:.2f}.",
        fix=_HYPERBOLIC_FIX,
        source="DEBAR (ESEC/FSE 2020)",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
    ),
)
