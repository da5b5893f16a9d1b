"""Log, Log1p, Xlogy."""

from __future__ import annotations

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.rules.rule import Rule

RULES = (
    Rule(
        id="log-of-zero",
        title="Logarithm of zero",
        families=("log", "xlogy"),
        when=lambda o: (o.out.inf > 0) & ((o.x.zero > 0) | (o.y.zero > 0)),
        precondition="an operand of Log or Xlogy holds zeros and the result holds Inf",
        explain="{op} got {x.zero:,.0f} zeros among {x.size:,.0f} elements, and log(0) = -Inf.",
        blame="x.zero",
        fix=Fix(
            "Compute the logarithm from the logits in one op, or keep the argument away from 0.",
            "tf.math.log(tf.nn.softmax(z))",
            "tf.nn.log_softmax(z)",
        ),
        source="DEBAR (ESEC/FSE 2020); RANUM (ICSE 2023); tf.nn.log_softmax",
    ),
    Rule(
        id="log-of-negative",
        title="Logarithm of a negative number",
        families=("log", "xlogy"),
        when=lambda o: (o.out.nan > 0) & ((o.x.negative > 0) | (o.y.negative > 0)),
        precondition="an operand of Log or Xlogy holds negative numbers and the result holds NaN",
        explain="{op} got {x.negative:,.0f} negative elements among {x.size:,.0f}, down to {x.min:.4g}: NaN.",
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
