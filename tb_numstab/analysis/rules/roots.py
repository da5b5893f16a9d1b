"""Sqrt, Rsqrt and their gradients, Pow."""

from __future__ import annotations

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.rules.rule import Rule
from tb_numstab.schema.ops import Role

RSQRT = (
    lambda o: o.among(o.graph.mask("rsqrt")),
    Fix("Clip, and add a small constant.", "tf.math.rsqrt(x)", "tf.math.rsqrt(tf.maximum(x, 0.0) + 1e-6)"),
)
"""The fix of a Rsqrt where that of a Sqrt, or of a quotient, would be the usual one."""

RULES = (
    Rule(
        id="sqrt-of-negative",
        title="Square root of a negative number",
        families=("sqrt", "rsqrt"),
        when=lambda o: (o.out.nan > 0) & (o.x.negative > 0),
        precondition="the operand of Sqrt or Rsqrt holds negative numbers and the result holds NaN",
        explain="{op} got negative numbers in {x.negative:,.0f} of {x.size:,.0f} elements, down to {x.min:.4g}: NaN.",
        blame="x.negative",
        fix=Fix("Clip just above 0: there the derivative is finite.", "tf.sqrt(x)", "tf.sqrt(tf.maximum(x, 1e-12))"),
        fixes=(
            RSQRT,
            (
                lambda o: o.x_among(o.graph.mask("sub")),
                Fix(
                    "Rewrite the subtraction that made it negative, and clip just above 0.",
                    "tf.sqrt(tf.reduce_mean(x * x, 0) - tf.reduce_mean(x, 0) ** 2)",
                    "tf.math.reduce_std(x, 0)  # or tf.sqrt(tf.maximum(difference, 1e-12))",
                ),
            ),
        ),
        source="DEBAR (ESEC/FSE 2020)",
    ),
    Rule(
        id="rsqrt-of-zero",
        title="Reciprocal square root of zero",
        families=("rsqrt",),
        when=lambda o: (o.out.inf > 0) & (o.x.zero > 0),
        precondition="the operand of Rsqrt holds zeros and the result holds Inf",
        explain="{op} got 0 in {x.zero:,.0f} of {x.size:,.0f} elements: 1/sqrt(0) = Inf.",
        blame="x.zero",
        fix=Fix("Put a small constant inside the root.", "tf.math.rsqrt(x)", "tf.math.rsqrt(x + 1e-6)"),
        source="DEBAR (ESEC/FSE 2020)",
    ),
    Rule(
        id="sqrt-gradient-at-zero",
        title="Gradient of a square root at zero",
        families=("sqrt-grad",),
        when=lambda o: (o.x.zero > 0) & (o.out.nan + o.out.inf > 0),
        precondition="SqrtGrad gets a root of 0 and a non-zero upstream gradient",
        explain="{op} got a root of 0 in {x.zero:,.0f} of {x.size:,.0f} elements: "
        "the derivative 1/(2 sqrt(x)) is infinite there.",
        blame="x.zero",
        fix=Fix(
            "Put a small constant inside the root, so that the derivative stays finite.",
            "tf.sqrt(tf.reduce_sum(tf.square(a - b), 1))",
            "tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(a - b), 1), 1e-12))",
        ),
        source="tensorflow/tensorflow#4914, #30199, #12071",
    ),
    Rule(
        id="pow-gradient-at-zero",
        title="Gradient of a power at zero",
        families=("pow",),
        when=lambda o: o.among(o.graph.role(Role.GRADIENT)) & (o.x.zero > 0) & (o.y.min < 0),
        precondition="the gradient of x**p with p < 1 is taken at x = 0",
        explain="The gradient of Pow raised 0 to the power {y.min:.3g} in {x.zero:,.0f} of {x.size:,.0f} elements: "
        "the derivative p x^(p-1) is infinite at 0 for p < 1.",
        blame="x.zero",
        fix=Fix("Keep the base away from 0.", "x ** 0.5", "tf.maximum(x, 1e-12) ** 0.5"),
        source="RANUM (ICSE 2023); measured on TensorFlow 2.21",
    ),
    Rule(
        id="pow-of-zero",
        title="Zero to a negative power",
        families=("pow",),
        when=lambda o: (o.x.zero > 0) & (o.y.min < 0) & (o.out.inf > 0),
        precondition="the base holds zeros, the exponent is negative and the result holds Inf",
        explain="{op} raised 0 to the power {y.min:.3g} in {x.zero:,.0f} of {x.size:,.0f} elements: Inf.",
        blame="x.zero",
        fix=Fix("Keep the base away from 0.", "x ** -0.5", "tf.math.rsqrt(x + 1e-6)"),
        source="IEEE 754-2019 9.2.1",
    ),
    Rule(
        id="pow-of-negative",
        title="Negative number to a fractional power",
        families=("pow",),
        when=lambda o: (o.x.negative > 0) & (o.out.nan > 0),
        precondition="the base holds negative numbers and the result holds NaN",
        explain="{op} raised negative numbers, down to {x.min:.4g}, to a fractional power in {x.negative:,.0f} of "
        "{x.size:,.0f} elements: NaN.",
        blame="x.negative",
        fix=Fix("Make the base non-negative.", "x ** 0.5", "tf.maximum(x, 0.0) ** 0.5"),
        source="IEEE 754-2019 9.2.1",
    ),
    Rule(
        id="pow-overflow",
        title="Power overflows",
        families=("pow",),
        when=lambda o: o.out.inf > 0,
        precondition="the result holds Inf and no base is 0",
        explain="{op} raised values up to {x.magnitude:.4g} to powers up to {y.max:.3g}: beyond {f.max_value:.3g}.",
        blame="x.large",
        fix=Fix(
            "Scale the base, or work with logarithms.", "x ** p", "p * tf.math.log(x)  # the logarithm of the power"
        ),
        source="IEEE 754-2019 7.4",
    ),
)
