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
    """The op in which a number was rounded that is, as an angle, off by COARSE then.

    The angle carries the relative error of the narrowest format it went through, 2^-p.
    """
    graph, rows = o.graph, Columns(o.table)
    angles = graph.members("trig")
    angles = angles[(graph.role(Role.FORWARD) & graph.reaches_result)[angles] & (graph.x[angles] >= 0)]
    found = np.zeros(graph.size, bool)
    for angle in graph.x[angles[rows.max_exp[graph.x[angles]] > COARSE]].tolist():
        rounded = _narrowest(o, angle)
        if rounded >= 0 and rows.max_exp[angle] - graph.precision[rounded] >= COARSE:
            found[rounded] = True
    return o.among(found)


def _narrowest(o: Ops, slot: int) -> int:
    """The first op of the narrowest format that rounded a value on its way to ``slot``; -1 when none did.

    Whole numbers up to 2^p lose nothing in a Cast; where other numbers come from is not followed.
    """
    graph, rows = o.graph, Columns(o.table)
    narrowest = -1
    for _ in range(DEPTH):
        if slot < 0 or graph.family(slot) not in CARRIERS:
            break
        x, y = int(graph.x[slot]), int(graph.y[slot])
        whole = graph.family(slot) == "cast" and x < 0
        if not whole or rows.max_exp[slot] >= graph.precision[slot]:
            if narrowest < 0 or graph.precision[slot] <= graph.precision[narrowest]:
                narrowest = slot
        slot = y if x < 0 or graph.sites[x].role is Role.CONSTANT else x
    return narrowest


RULES = (
    Rule(
        id="phase-lost",
        title="An angle is too large for its format",
        families=(),
        when=_phase_is_lost,
        precondition="the argument of Sin, Cos or Tan is off by a quarter radian or more, since it was rounded to "
        "its own format or to a narrower one before",
        explain="{op} gives numbers up to {out.magnitude:.4g} in {f.name} ({f.precision} significant bits); as an "
        "angle of Sin, Cos or Tan they are off by a quarter radian or more.",
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
