"""How the training goes, as information: nothing here is a numerical fault by itself."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.finding import Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.guards import Guards
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role


def _is_relu(g: Guards, slot: int) -> bool:
    site = g.graph.sites[slot]
    return site.op_type in ("Relu", "Relu6") and site.role is Role.FORWARD and bool(g.differentiated[slot])


def _dead(o: Ops) -> Mask:
    """No unit of a ReLU layer is active for any example: no gradient passes."""
    return np.asarray(o.among(o.graph.guards.chosen(_is_relu, o.slots)) & (o.out.size > 1) & (o.out.zero == o.out.size))


RULES = (
    Rule(
        id="relu-layer-dead",
        title="A ReLU layer is inactive for every example",
        families=("clip",),
        when=_dead,
        precondition="the result of a Relu that a gradient is taken through is 0 in every element",
        explain="{op} gives 0 in {out.zero:,.0f} of {out.size:,.0f} elements (its arguments reach {x.max:.3g}): no "
        "gradient passes it.",
        fix=Fix(
            "Lower the learning rate, start biases at 0, or let a small slope through.",
            'keras.layers.Dense(64, activation="relu")',
            'keras.layers.Dense(64, activation="leaky_relu")',
        ),
        source="SageMaker Debugger DeadRelu; AUTOTRAINER (ICSE 2021)",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        patience=3,
    ),
)
