"""RealDiv, Reciprocal."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

_FIX = Fix(
    "Give 0 where the denominator is 0, or keep the denominator away from 0.",
    "a / b",
    "tf.math.divide_no_nan(a, b)",
)


def _narrow_divider(o: Ops) -> Mask:
    """What is then divided by, in a format too narrow for usual epsilons."""
    g = o.graph
    dividers = g.as_mask(g.y[g.members("div")]) | g.as_mask(g.x[g.members("reciprocal", "rsqrt", "log")])
    return np.asarray(o.narrow_range & o.among(dividers))


def _zero_added(o: Ops) -> Mask:
    """A literal zero is added."""
    literal = o.graph.role(Role.CONSTANT)
    x_is_zero = o.x_among(literal) & (o.x.zero == o.x.size)
    y_is_zero = o.y_among(literal) & (o.y.zero == o.y.size)
    return np.asarray(x_is_zero | y_is_zero)


RULES = (
    Rule(
        id="division-by-zero",
        title="Division by zero",
        families=("div",),
        when=lambda o: (o.y.zero > 0) & (o.out.nan + o.out.inf > 0),
        precondition="the denominator holds zeros and the result is not finite",
        explain="{op} got 0 in {y.zero:,.0f} of {y.size:,.0f} denominators and in {x.zero:,.0f} of {x.size:,.0f} "
        "numerators (0/0 = NaN, else Inf).",
        blame="y.zero",
        fix=_FIX,
        source="IEEE 754-2019 7.2, 7.3; DEBAR (ESEC/FSE 2020); RANUM (ICSE 2023)",
    ),
    Rule(
        id="division-overflow",
        title="Quotient overflows",
        families=("div",),
        when=lambda o: o.out.inf > 0,
        precondition="no denominator is 0 and the result holds Inf",
        explain="{op} divided values up to {x.top} by values down to {y.bottom}: beyond {f.max_value:.3g}.",
        blame="y.small",
        fix=Fix("Keep the denominator away from 0.", "a / b", "a / (b + 1e-6)"),
        source="IEEE 754-2019 7.4",
    ),
    Rule(
        id="reciprocal-of-zero",
        title="Reciprocal of zero",
        families=("reciprocal",),
        when=lambda o: (o.x.zero > 0) & (o.out.inf > 0),
        precondition="the operand of Reciprocal holds zeros",
        explain="{op} got 0 in {x.zero:,.0f} of {x.size:,.0f} elements: 1/0 = Inf.",
        blame="x.zero",
        fix=Fix(_FIX.text, "1 / x", "tf.math.divide_no_nan(1.0, x)"),
        source="IEEE 754-2019 7.3",
    ),
    Rule(
        id="epsilon-is-zero",
        title="Epsilon is zero in this format",
        families=("add",),
        where=_narrow_divider,
        when=_zero_added,
        precondition="in float16 or narrower a literal that is exactly 0 is added to a value that is then a "
        "denominator, or the argument of Rsqrt or Log",
        explain="{op} guards a denominator with a constant that is 0 in {f.name}: the smallest {f.name} is "
        "{f.min_subnormal:.2g}.",
        fix=Fix("Use an epsilon the format can hold.", "m / (tf.sqrt(v) + 1e-8)", "m / (tf.sqrt(v) + 1e-4)"),
        source="keras-team/keras#11860; google-deepmind/optax#1754",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.PROVEN,
    ),
)
