"""tf.where over a branch that is not finite."""

from __future__ import annotations

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.patterns import never
from tb_numstab.analysis.rules.rule import Rule

WHERE_TRAP = Rule(
    id="where-gradient-trap",
    title="tf.where hides a NaN that its gradient does not",
    families=(),
    when=never,
    precondition="a non-finite result is discarded by Select or SelectV2 in the forward pass, and its gradient op "
    "multiplies it by 0",
    explain="",
    fix=Fix(
        "Make the argument safe first, then select: the double tf.where.",
        "tf.where(x > 0.0, tf.math.log(x), 0.0)",
        "safe = tf.where(x > 0.0, x, 1.0)\ntf.where(x > 0.0, tf.math.log(safe), 0.0)",
    ),
    source="tensorflow/tensorflow#38349, #20091, #27684",
)
