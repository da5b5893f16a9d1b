"""A loss scale that is taken out of the gradients, but was never put into the loss."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role


def _loss_was_not_scaled(o: Ops) -> Mask:
    """Gradients are divided by a loss scale, and no gradient is taken through a product with it."""
    graph = o.graph
    scales = graph.as_mask(o.anatomy.loss_scales)
    if graph.guards.differentiated[graph.edge_target[scales[graph.edge_source]]].any():
        return np.zeros(len(o.slots), bool)
    return np.asarray(o.y_among(scales) & (o.y.min > 1) & o.among(graph.role(Role.OPTIMIZER)))


RULES = (
    Rule(
        id="loss-not-scaled",
        title="Gradients are divided by a loss scale that the loss never had",
        families=("div",),
        when=_loss_was_not_scaled,
        precondition="LossScaleOptimizer divides gradients by its scale, and no gradient is taken through a product "
        "with it",
        explain="{op} divides gradients by the loss scale, {y.max:,.0f}, but nothing multiplied the loss by it: every "
        "update is that many times too small.",
        fix=Fix(
            "Scale the loss before its gradient is taken.",
            "gradients = tape.gradient(loss, weights)",
            "gradients = tape.gradient(optimizer.scale_loss(loss), weights)  # scale_loss inside the tape",
        ),
        source="keras.optimizers.LossScaleOptimizer.scale_loss",
        stage=Stage.STANDING,
        patience=2,
        once=True,
    ),
)
