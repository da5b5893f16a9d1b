"""Overflow that a division turns back into a finite number, so that no NaN or Inf ever shows."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.finding import Certainty, Fix
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

CARRIERS = ("sum", "mean", "add", "clip", "sqrt", "cast", "move")
"""What stands between a square and the root or division of a norm."""


def _normalised_to_zero(o: Ops) -> Mask:
    """Squares that overflow on the way to the norm their own operand is divided by.

    Of other quotients by Inf 0 may be the right answer; x / |x| is of ordinary size.
    """
    found = o.among(o.graph.role(Role.FORWARD) & ~o.graph.looped) & (o.out.overflow > 0) & (o.out.nan == 0)
    for index in np.flatnonzero(found):
        found[index] = _divides_its_operand(o, int(o.slots[index]), int(o.x_slots[index]))
    return np.asarray(found)


def _divides_its_operand(o: Ops, square: int, operand: int) -> bool:
    graph, rows = o.graph, Columns(o.table)
    finite_with_zeros = (rows.nan == 0) & (rows.inf == 0) & (rows.zero > 0)
    infinite = graph.carrying(graph.as_mask([square]), graph.mask(*CARRIERS) & (rows.pos_inf > 0) & (rows.nan == 0))
    inverse = graph.mask("rsqrt") & finite_with_zeros & infinite[graph.x] & (graph.x >= 0)
    x, y = graph.x, graph.y
    multiplied = graph.mask("mul") & (((x == operand) & inverse[y]) | ((y == operand) & inverse[x]))
    divided = graph.mask("div") & (x == operand) & infinite[y]
    measured = (x >= 0) & (y >= 0)
    return bool(((multiplied | divided) & measured & finite_with_zeros & graph.reaches_result).any())


RULES = (
    Rule(
        id="overflow-swallowed",
        title="A norm overflows, and what it divides becomes 0",
        families=("square",),
        when=_normalised_to_zero,
        precondition="in the forward pass the square of a tensor overflows, the tensor is divided by a root or sum of "
        "that square, and the quotient is finite and holds 0",
        explain="{op} of values up to {x.top} overflowed {f.name} in {out.overflow:,.0f} of {out.size:,.0f} elements; "
        "dividing by that Inf gives 0, so the loss stays finite.",
        fix=Fix(
            "Compute the norm in float32, or scale by the largest magnitude first.",
            "x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + eps)",
            "x * tf.cast(tf.math.rsqrt(tf.reduce_mean(tf.square(tf.cast(x, tf.float32)), -1, keepdims=True) + eps), "
            "x.dtype)",
        ),
        source="IEEE 754-2019 7.4; pytorch/pytorch#133085",
        stage=Stage.STANDING,
        certainty=Certainty.EVENT,
        patience=2,
    ),
)
