"""Loss scales that are never put into the loss, that keep falling, or that let no step train."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.finding import Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.origin import find_origin
from tb_numstab.analysis.patterns import never
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

SEARCH = 16
"""Records in which a loss scale that starts too large is found: Keras starts at 2^15 and halves."""

SKIPPED = 5
"""Records on end without an update, from which a loss scale is stuck; over at least LONG_SKIPPED steps."""

LONG_SKIPPED = 20
"""Steps in which any loss scale that can be found is found: 2^-20 of the one it starts from."""


def _loss_was_not_scaled(o: Ops) -> Mask:
    """Gradients are divided by a loss scale, and no gradient is taken through a product with it."""
    graph = o.graph
    scales = graph.as_mask(o.anatomy.loss_scales)
    if graph.guards.differentiated[graph.edge_target[scales[graph.edge_source]]].any():
        return never(o)
    return np.asarray(o.y_among(scales) & (o.y.min > 1) & o.among(graph.role(Role.OPTIMIZER)))


def _scale_below_one(o: Ops) -> Mask:
    """A loss scale that shrinks gradients."""
    scale = o.among(o.graph.as_mask(o.anatomy.loss_scales))
    return np.asarray(scale & (o.out.max < 1))


def _scale_falling(o: Ops) -> Mask:
    """A loss scale that only fell, 1024-fold in a few records: the search for one takes less."""
    recent = np.log2(o.memory.course.scale[-SEARCH:])
    falls = np.diff(recent)
    falling = (falls <= 0).all() and np.count_nonzero(falls) >= 5 and recent[0] - recent[-1] >= 10
    return o.among(o.graph.as_mask(o.anatomy.loss_scales)) & falling


def _all_skipped(o: Ops) -> Mask:
    """The op that keeps gradients from being finite, when no step trains and no scale is still searched for."""
    course = o.memory.course
    skipped, scale = course.skipped, course.scale
    searching = len(scale) > 1 and 1 <= scale[-1] < scale[-2]
    if len(skipped) < SKIPPED or skipped[-1] - skipped[0] < LONG_SKIPPED or searching:
        return never(o)
    rows = Columns.of(o.table, o.anatomy.gradients)
    bad = o.anatomy.gradients[rows.nan + rows.inf > 0]
    origin = find_origin(o.graph, o.table, skipped[-1], tuple(bad.tolist()))
    return o.among(o.graph.as_mask([origin.slot] if origin else []))


def _skipped_figures(o: Ops, index: int) -> dict[str, float | str]:
    course = o.memory.course
    scale = course.scale[-1]
    stands = "Nothing changes the loss scale." if np.isnan(scale) else f"The loss scale is {scale:.3g}."
    return {"records": float(len(course.skipped)), "since": float(course.skipped[0]), "stands": stands}


_SCALE_FIX = Fix(
    "Look for the op whose gradient overflows even so; or use bfloat16, which needs no loss scale.",
    'keras.mixed_precision.set_global_policy("mixed_float16")',
    'keras.mixed_precision.set_global_policy("mixed_bfloat16")',
)

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
    Rule(
        id="updates-skipped",
        title="Every update is skipped",
        families=(),
        when=_all_skipped,
        precondition="in at least 5 records on end, over at least 20 steps, a gradient was not finite and no trained "
        "variable changed, and no loss scale above 1 is still falling; the op is named that made the first of it "
        "not finite",
        explain="{op} gives {out.inf:,.0f} Inf and {out.nan:,.0f} NaN in {out.size:,.0f} elements. In each of the last "
        "{n.records:.0f} records a gradient was not finite, so every update since step {n.since:.0f} was skipped. "
        "{n.stands}",
        figures=_skipped_figures,
        fix=Fix(
            "If a fixed loss scale makes the op named here overflow, let one be found. If it does so at a scale of 1, "
            "compute it in float32, or use bfloat16.",
            "scaled = 2.0**20 * loss",
            "scaled = optimizer.scale_loss(loss)  # optimizer = keras.optimizers.LossScaleOptimizer(...)",
        ),
        source="Keras LossScaleOptimizer; Micikevicius et al. 2018",
        stage=Stage.STANDING,
        once=True,
    ),
    Rule(
        id="loss-scale-below-one",
        title="The loss scale has fallen below 1",
        families=(),
        when=_scale_below_one,
        precondition="the variable that holds the loss scale is below 1",
        explain="{variable} is {out.max:.3g}: gradients overflowed at every larger scale, and below 1 it makes "
        "them smaller, which is what a loss scale is there to prevent.",
        fix=_SCALE_FIX,
        source="Keras LossScaleOptimizer; Micikevicius et al. 2018",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        patience=3,
        once=True,
    ),
    Rule(
        id="loss-scale-falling",
        title="The loss scale keeps falling",
        families=(),
        when=_scale_falling,
        precondition="within 16 records the loss scale fell 1024-fold, in at least 5 of them, and never rose",
        explain="{variable} is {out.max:.3g} and keeps falling: every fall is a step thrown away because its "
        "gradient overflowed.",
        fix=_SCALE_FIX,
        source="Keras LossScaleOptimizer: a scale in balance falls about once in 2000 steps",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        once=True,
    ),
)
