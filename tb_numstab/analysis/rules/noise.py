"""Results that hold nothing but rounding error, although what they are computed from says more."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.cancellation import (
    SLACK,
    feeds_pole,
    is_variance,
    meaningless,
    of_rounded,
    rounded_slots,
    squares,
)
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

LINEAR = ("move", "mul", "div", "neg", "sum", "mean", "cast")
"""What may stand between a square or a product and the sum that they meet in."""


def _several(o: Ops) -> Mask:
    """More than one element, not all of them 0: a difference that is 0 throughout may be meant so."""
    return np.asarray((o.out.size > 1) & (o.out.nonzero > 0))


def _counts(o: Ops) -> Mask:
    return o.among(o.graph.role(Role.FORWARD) & o.graph.reaches_result)


def _squares_and_products(o: Ops) -> Mask:
    """a^2 - 2 a b + b^2: squares, and products with what is squared, meet in a sum."""
    g = o.graph
    of_squares = squares(g)
    squared = g.as_mask(g.x[of_squares])
    of_squared = squared[g.x] & (g.x >= 0) | squared[g.y] & (g.y >= 0)
    products = g.mask("matmul", "mul") & ~of_squares & of_squared
    through = g.mask(*LINEAR, "add", "sub")
    square, product = g.carrying(of_squares, through), g.carrying(products, through)
    meet = (o.x_among(square) & o.y_among(product)) | (o.x_among(product) & o.y_among(square))
    return meet & of_rounded(o) & ~is_variance(o) & ~feeds_pole(o) & _counts(o)


def _differs_from_data_alone(o: Ops) -> Mask:
    """A difference of two computed numbers, or of one and a literal, in which no variable has a part.

    Where a variable has one, a difference may have become small because the training has converged.
    """
    g = o.graph
    computed, literal = rounded_slots(g), g.role(Role.CONSTANT)
    x, y = o.x_among(computed), o.y_among(computed)
    inexact = (x & y) | (x & o.y_among(literal)) | (y & o.x_among(literal))
    special = is_variance(o) | feeds_pole(o) | _squares_and_products(o)
    return inexact & ~special & o.among(g.of_data) & _counts(o)


def _of_lgammas(o: Ops) -> Mask:
    g = o.graph
    carried = g.carrying(g.of_type("Lgamma"), g.mask("add", "sub", "move", "cast"))
    return o.x_among(carried) & o.y_among(carried) & _counts(o)


def _last_place(o: Ops) -> Floats:
    """log2 of the last place of the smallest operand of a sum."""
    return np.asarray(np.fmin(o.x.lower_exp, o.y.lower_exp) - o.precision + 1, np.float64)


def _angle_of_data(o: Ops) -> Mask:
    g = o.graph
    computed = g.carrying(rounded_slots(g), g.mask("move", "clip", "cast"))
    return o.among(g.of_type("Acos", "Acosh") & g.of_data) & o.x_among(computed) & _counts(o)


def _smallest_angle(o: Ops) -> Floats:
    """The smallest angle other than 0 that an argument of the format has: acos(1 - 2^-p), in radians."""
    return np.asarray(np.sqrt(2.0 ** (1 - o.precision)), np.float64)


def _all_beside_one(o: Ops) -> Mask:
    """All arguments lie within 2^SLACK last places of 1: the angle grows with the root of that distance."""
    largest = o.out.max <= _smallest_angle(o) * 2.0 ** ((SLACK + 1) / 2)
    return np.asarray((o.out.min >= 0) & largest) & _several(o)


def _data_and_number(o: Ops) -> Mask:
    g = o.graph
    data, literal = g.of_data, g.role(Role.CONSTANT)
    both = o.x_among(data) & o.y_among(data) & ~(o.x_among(literal) & o.y_among(literal))
    return both & _counts(o)


def _data_are_lost(o: Ops) -> Mask:
    """Next to one and the same number no element of the data keeps more than SLACK bits."""
    lost = np.zeros(len(o.slots), bool)
    for number, data in ((o.x, o.y), (o.y, o.x)):
        few_bits = number.lower_exp - data.upper_exp >= o.precision - SLACK
        lost |= few_bits & (number.min == number.max) & (data.min < data.max)
    return lost & (o.out.size > 1)


def _read_by_log(o: Ops) -> Mask:
    return o.among(o.graph.feeding(o.graph.as_mask(o.graph.x[o.graph.members("log")]), o.graph.mask("move", "cast")))


RULES = (
    Rule(
        id="squared-distance-cancelled",
        title="A squared distance as a^2 - 2ab + b^2 has cancelled",
        families=("add", "sub"),
        where=_squares_and_products,
        when=lambda o: meaningless(o) & _several(o),
        precondition="squares, and products with what is squared, meet in a sum that has lost its whole significand in "
        "every element, though not all of them are 0",
        explain="{op} of values up to {x.top} and {y.top} kept at most {out.top}: with {f.precision} significant bits "
        "that is rounding error, not the distance.",
        fix=Fix(
            "Subtract first, or move the origin to the middle of the data.",
            "tf.reduce_sum(a * a, 1)[:, None] - 2.0 * a @ tf.transpose(b) + tf.reduce_sum(b * b, 1)",
            "tf.reduce_sum(tf.square(a[:, None] - b[None]), -1)",
        ),
        source="scikit-learn/scikit-learn#9354; facebookresearch/faiss#297",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="difference-of-data-cancelled",
        title="A difference of what data give is rounding error",
        families=("add", "sub"),
        where=_differs_from_data_alone,
        when=lambda o: meaningless(o) & _several(o),
        precondition="a difference of two computed numbers, or of one and a literal, has lost its whole significand in "
        "every element, though not all of them are 0; no variable has a part in it",
        explain="{op} of values up to {x.top} and {y.top} kept at most {out.top}: with {f.precision} significant bits "
        "that is rounding error, whatever the model learns.",
        fix=Fix(
            "Rewrite the difference so that the large parts never meet, or compute it in float64.",
            "tf.square(a) - tf.square(b)",
            "(a - b) * (a + b)",
        ),
        source="Goldberg 1991, 1.4; Higham 2002, 1.7",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="log-gamma-difference",
        title="A difference of logarithms of the Gamma function is rounded to whole units",
        families=("add", "sub"),
        where=_of_lgammas,
        when=lambda o: (_last_place(o) >= 0) & (o.out.max_exp < np.fmin(o.x.min_exp, o.y.min_exp)),
        precondition="both operands are Lgamma values whose last place is 1 or more, and their difference is smaller "
        "than either: a likelihood off by whole units of its logarithm",
        explain="{op} of values from {x.bottom} and {y.bottom} on: {f.name} holds such numbers in steps of 1 or more, "
        "and what is left, at most {out.magnitude:.4g}, is a log-likelihood.",
        fix=Fix(
            "Keep the large argument in bounds, or compute the difference in float64.",
            "tf.math.lgamma(count + r) - tf.math.lgamma(r)",
            "r = tf.minimum(r, 1e4)\ntf.math.lgamma(count + r) - tf.math.lgamma(r)",
        ),
        source="IEEE 754-2019 4.3; tfp.math.log_gamma_difference",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="angle-of-parallel-data",
        title="Angles of data too small for their cosine",
        families=("inverse-trig",),
        where=_angle_of_data,
        when=_all_beside_one,
        precondition="the arguments of Acos or Acosh are computed from data alone, and all results are below four "
        "times acos(1 - 2^-p) (p significant bits), though not all of them are 0",
        explain="{op} gives at most {out.max:.2g}, and {out.zero:,.0f} of {out.size:,.0f} elements are 0: in {f.name} "
        "no angle between 0 and {n.angle:.2g} has a cosine of its own.",
        figures=lambda o, index: {"angle": float(_smallest_angle(o)[index])},
        fix=Fix(
            "Compute small angles from a difference or a sine (haversine) instead of a cosine.",
            "tf.acos(tf.reduce_sum(a * b, 1))",
            "2.0 * tf.asin(0.5 * tf.norm(a - b, axis=1))",
        ),
        source="Sinnott 1984, Virtues of the Haversine; AndGem/OsmToRoadGraph#90",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="data-lost-beside-number",
        title="Data are lost beside a number added to them",
        families=("add", "sub"),
        where=_data_and_number,
        when=_data_are_lost,
        precondition="data, or what is computed from data alone, vary and are at most 2^(3 - p) of the one number they "
        "are added to (p significant bits)",
        explain="{op} of values up to {x.top} and {y.top}: of {f.precision} significant bits at most 3 are left for "
        "the smaller ones, which are the data.",
        fix=Fix(
            "Leave the number out, or compute the sum in float64.",
            "signal = offset + x\nsignal - offset",
            "x",
        ),
        fixes=((_read_by_log, Fix("Use the op made for it.", "tf.math.log(1.0 + x)", "tf.math.log1p(x)")),),
        source="Goldberg 1991, theorem 4",
        stage=Stage.STANDING,
        patience=3,
    ),
)
