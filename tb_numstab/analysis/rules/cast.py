"""Casts to a narrower format."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

LOST = 0.1
"""Share of underflown elements from which a tensor counts as lost."""


def _mostly_underflows(o: Ops) -> Mask:
    """Underflow takes more from a tensor, as a whole, than rounding to the format does.

    The u elements that underflow are each off by up to 2^(Esub - 1), so their norm by sqrt(u) times that.
    This exceeds 2^-p of the tensor's norm once that is below sqrt(u) times the smallest normal number.
    The tail of a larger tensor underflows too, and nothing is lost with it.
    """
    share = o.out.underflow / o.x.nonzero
    return np.asarray((share >= LOST) & (o.x.sum_sq <= o.out.underflow * 4.0**o.min_exp))


RULES = (
    Rule(
        id="gradient-underflow",
        title="Gradients underflow in a narrow format",
        families=("cast",),
        where=lambda o: o.among(o.graph.role(Role.GRADIENT)),
        when=_mostly_underflows,
        precondition="a Cast of a gradient turns at least 10 % of its non-zero elements into 0 or subnormal numbers, "
        "and its norm is below that of as many smallest normal numbers: more is lost than by rounding",
        explain="{op} to {f.name} left {out.underflow:,.0f} of {x.size:,.0f} gradient elements 0 or subnormal: the "
        "largest is {x.magnitude:.2g}, normal numbers begin at {f.min_normal:.2g}.",
        fix=Fix(
            "Scale the loss, or use bfloat16.",
            "optimizer = keras.optimizers.SGD(lr)",
            "optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(lr))",
        ),
        source="Micikevicius et al. 2018; tensorflow/tensorflow#33484; nansense",
        stage=Stage.STANDING,
        patience=3,
        once=True,
    ),
    Rule(
        id="data-underflow",
        title="Data underflow in a narrow format",
        families=("cast",),
        where=lambda o: o.among(o.graph.of_data & o.graph.role(Role.FORWARD) & o.graph.reaches_result),
        when=lambda o: _mostly_underflows(o) & (o.x.size > 1),
        precondition="a Cast of data, or of what is computed from data alone, turns at least 10 % of its non-zero "
        "elements into 0 or subnormal numbers, and its norm is below that of as many smallest normal numbers",
        explain="{op} to {f.name} left {out.underflow:,.0f} of {x.size:,.0f} elements of the data 0 or subnormal: the "
        "largest is {x.magnitude:.2g}, normal numbers begin at {f.min_normal:.2g}.",
        fix=Fix(
            "Bring the data to a scale around 1 before the Cast, or keep them in float32.",
            "weight = tf.cast(1.0 / population, tf.float16)",
            "weight = tf.cast(tf.reduce_mean(population) / population, tf.float16)",
        ),
        source="IEEE 754-2019 7.5; VowpalWabbit/vowpal_wabbit#2241",
        stage=Stage.STANDING,
        patience=3,
    ),
)
