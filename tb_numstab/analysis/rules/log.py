"""Log, Log1p, Xlogy."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.formulas import (
    log_of_1_minus_exp,
    log_of_exponentials,
    log_of_sigmoid,
    log_of_softmax,
    of_masked_exponentials,
    times_own_argument,
)
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import structural
from tb_numstab.analysis.rules.rule import Rule, Stage

FROM_LOGITS = Fix(
    "Compute the logarithm from the logits in one op.",
    "tf.math.log(tf.nn.softmax(z)); tf.math.log(1.0 - tf.sigmoid(z))",
    "tf.nn.log_softmax(z); tf.math.log_sigmoid(-z)",
)
EXPM1 = Fix(
    "Use expm1, which keeps what is left of 1.",
    "tf.math.log(1.0 - tf.exp(-x))",
    "tf.math.log(-tf.math.expm1(-x))",
)
ABOVE_ZERO = Fix("Keep the argument away from 0.", "tf.math.log(x)", "tf.math.log(tf.maximum(x, 1e-12))")

_FIXES = (
    (
        structural(log_of_softmax),
        Fix(
            "Compute the logarithm from the logits in one op.",
            "tf.math.log(tf.nn.softmax(z))",
            "tf.nn.log_softmax(z)",
        ),
    ),
    (
        structural(log_of_sigmoid),
        Fix(
            "Compute the logarithm from the logits in one op.",
            "tf.math.log(tf.sigmoid(z)); tf.math.log(1.0 - tf.sigmoid(z))",
            "tf.math.log_sigmoid(z); tf.math.log_sigmoid(-z)",
        ),
    ),
    (
        of_masked_exponentials,
        Fix(
            "Mask with a large finite number, so that a row of nothing else stays finite.",
            "tf.reduce_logsumexp(tf.where(allowed, score, -np.inf), 1)",
            "tf.reduce_logsumexp(tf.where(allowed, score, -1e9), 1)",
        ),
    ),
    (
        structural(log_of_exponentials),
        Fix("Stay in log space.", "tf.math.log(tf.reduce_sum(tf.exp(z), 1))", "tf.reduce_logsumexp(z, 1)"),
    ),
    (structural(log_of_1_minus_exp), EXPM1),
    (
        structural(times_own_argument),
        Fix("Use the op that gives 0 for 0 log 0.", "p * tf.math.log(p)", "tf.math.xlogy(p, p)"),
    ),
)


def _of_small_probability(o: Ops) -> Mask:
    """A probability computed by Softmax, Sigmoid or exp/sum has shrunk far, on its way to 0."""
    g = o.graph
    quotients = g.mask("div") & g.carrying(g.mask("exp"), g.mask("div", "mul"))
    probabilities = g.carrying(g.mask("softmax", "sigmoid") | quotients, g.mask("clip", "move", "mul", "sub", "cast"))
    small = np.where(o.narrow_range, -10.0, -31.0)
    return np.asarray(o.x_among(probabilities) & (o.x.min_exp <= small) & (o.x.zero == 0))


RULES = (
    Rule(
        id="log-of-zero",
        title="Logarithm of zero",
        families=("log", "xlogy"),
        when=lambda o: (o.out.inf > 0) & ((o.x.zero > 0) | (o.y.zero > 0)),
        precondition="an operand of Log or Xlogy holds zeros and the result holds Inf",
        explain="{op} got 0 in {x.zero:,.0f} of {x.size:,.0f} elements, and log(0) = -Inf.",
        blame="x.zero",
        fix=ABOVE_ZERO,
        fixes=_FIXES,
        source="DEBAR (ESEC/FSE 2020); RANUM (ICSE 2023); tf.nn.log_softmax",
    ),
    Rule(
        id="log-of-small-probability",
        title="Logarithm of a probability that is about to underflow",
        families=("log",),
        when=_of_small_probability,
        precondition="the argument of Log comes from Softmax, Sigmoid or exp/sum, and its smallest element is below "
        "2^-31 (2^-10 in float16)",
        explain="{op} gets probabilities down to {x.min:.3g}; they become 0, and the logarithm -Inf, below "
        "{f.min_normal:.3g}.",
        fix=FROM_LOGITS,
        source="GRIST (ICSE 2022); tf.nn.log_softmax",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        patience=2,
    ),
    Rule(
        id="log-of-negative",
        title="Logarithm of a negative number",
        families=("log", "xlogy"),
        when=lambda o: (o.out.nan > 0) & ((o.x.negative > 0) | (o.y.negative > 0)),
        precondition="an operand of Log or Xlogy holds negative numbers and the result holds NaN",
        explain="{op} got negative numbers in {x.negative:,.0f} of {x.size:,.0f} elements, down to {x.min:.4g}: NaN.",
        blame="x.negative",
        fix=Fix(
            "Make the argument positive before the logarithm.",
            "tf.math.log(x)",
            "tf.math.log(tf.maximum(x, 1e-7))",
        ),
        source="DEBAR (ESEC/FSE 2020); RANUM (ICSE 2023)",
    ),
    Rule(
        id="log1p-domain",
        title="Log1p at or below -1",
        families=("log1p",),
        when=lambda o: (o.out.nan + o.out.inf > 0) & (o.x.min <= -1),
        precondition="the operand of Log1p reaches -1 or less and the result is not finite",
        explain="{op} got elements down to {x.min:.4g}; log1p(x) needs x > -1.",
        blame="x.low",
        fix=Fix(
            "Keep the argument above -1.",
            "tf.math.log1p(x)",
            "tf.math.log1p(tf.maximum(x, -1.0 + 1e-7))",
        ),
        source="DEBAR (ESEC/FSE 2020)",
    ),
)
