"""Angles so large that their rounding is a good part of a turn."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.guards import DEPTH
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

COARSE = -2
"""Exponent of the rounding error, in radians, from which a phase counts as lost: a quarter."""

CARRIERS = ("move", "cast", "mul", "div", "add", "sub", "neg")
"""What stands between the number that was rounded and the angle it becomes."""


def _phase_is_lost(o: Ops) -> Mask:
    """The angle carries the relative rounding error of the narrowest format it went through, 2^-p."""
    found = o.among(o.graph.role(Role.FORWARD) & o.graph.reaches_result)
    for index in np.flatnonzero(found & (o.x.max_exp > COARSE)):
        found[index] = o.x.max_exp[index] - _rounded_to(o, int(o.x_slots[index])) >= COARSE
    return np.asarray(found & (o.x.max_exp > COARSE))


def _rounded_to(o: Ops, slot: int) -> float:
    """Significant bits of the narrowest format that a value was rounded to on its way to ``slot``.

    Whole numbers up to 2^p lose nothing in a Cast; where they are computed from, is not followed.
    """
    graph, rows = o.graph, Columns(o.table)
    bits = np.inf
    for _ in range(DEPTH):
        if slot < 0 or graph.family(slot) not in CARRIERS:
            break
        whole = graph.family(slot) == "cast" and graph.x[slot] < 0
        if not whole or rows.max_exp[slot] >= graph.precision[slot]:
            bits = min(bits, float(graph.precision[slot]))
        x, y = int(graph.x[slot]), int(graph.y[slot])
        slot = y if x < 0 or graph.sites[x].role is Role.CONSTANT else x
    return bits


RULES = (
    Rule(
        id="phase-lost",
        title="An angle is too large for its format",
        families=("trig",),
        when=_phase_is_lost,
        precondition="the argument of Sin, Cos or Tan has been rounded, in its own format or a narrower one before, by "
        "a quarter radian or more",
        explain="{op} gets angles up to {x.magnitude:.4g}, rounded to so few significant bits that they are off by a "
        "quarter radian or more.",
        fix=Fix(
            "Compute angles in float32, from positions that were never narrower.",
            "tf.sin(tf.cast(positions, tf.bfloat16) * frequency)",
            "tf.cast(tf.sin(tf.cast(positions, tf.float32) * frequency), tf.bfloat16)",
        ),
        source="EleutherAI/gpt-neox#1003; huggingface/transformers#29285",
        stage=Stage.STANDING,
        patience=2,
    ),
)
