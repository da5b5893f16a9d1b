"""Whether the optimizer's steps have the right size: learning rate, gradient norm, epsilon."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats, Power
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import never
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

LARGE = 0.1
"""Root mean square of update over variable, above which steps are too large if the loss does not fall (MindInsight).
In 50 healthy trainings the median step is 2^-9 to 2^-2, the larger ones while the loss falls."""

SMALL = 2.0**-20
"""The same, below which no matrix moves. Fine-tuning takes steps of 2^-18."""

WEAK = 2.0**-10
"""Norm of all gradients over that of all trained matrices, below which standing still may be the gradient's doing."""

USUAL = 2.0**-10
"""The same where nothing is wrong: a thousandth."""

SMALL_BESIDE = 1e-3
"""What epsilon should be of the root mean square of a gradient at most."""

PERSISTENT = 10
"""Records on end that make the size of steps more than a start."""


def _ratio(o: Ops) -> Floats:
    """Root mean square of the change over that of the variable it leaves."""
    return np.asarray(o.y.rms / o.out.rms, np.float64)


def _rate_figures(o: Ops, index: int) -> dict[str, float | str]:
    course, ratio = o.memory.course, float(_ratio(o)[index])
    usual = f"{USUAL / ratio:.1g} times this learning rate would make it the usual thousandth" if ratio else "it is 0"
    return {
        "part": Power(np.log2(ratio)),
        "usual": usual,
        "first": course.loss[0],
        "last": course.last_loss,
        "norm": course.norm[-1],
    }


def _trained_matrix(o: Ops) -> Mask:
    return o.among(o.graph.trainable & o.graph.matrix)


def _too_large(o: Ops) -> Mask:
    """Weights change by a tenth in every step, and the loss is not below where it began."""
    return np.asarray((_ratio(o) > LARGE) & (not o.memory.course.improved))


def _too_small(o: Ops) -> Mask:
    """No weight moves, though gradients are not small against the weights, and the loss stands."""
    course = o.memory.course
    if (_ratio(o) >= SMALL).any() or not course.stands:
        return never(o)
    weights = np.sqrt(np.nansum(o.out.sum_sq))
    return np.full(len(o.slots), course.norm[-1] > WEAK * weights)


def _spiking(o: Ops) -> Mask:
    """The largest gradient of a step whose norm is out of proportion, the second time it happens."""
    course, gradients = o.memory.course, o.anatomy.gradients
    if not course.spiking or course.spikes < 2 or o.anatomy.clipped:
        return never(o)
    return o.among(o.graph.as_mask([gradients[np.nanargmax(Columns.of(o.table, gradients).sum_sq)]]))


def _norm_figures(o: Ops, index: int) -> dict[str, float]:
    course = o.memory.course
    return {"norm": course.norm[-1], "usual": course.usual_norm, "clipnorm": course.norm_quantile(0.9)}


def _epsilon_dominates(o: Ops) -> Mask:
    """Most of the optimizer's sqrt(v) + epsilon have every sqrt(v) below epsilon.

    A few do in healthy networks: the bias of an attention's keys has no gradient but rounding.
    """
    root = o.x_among(o.graph.mask("sqrt")) & o.y_among(o.graph.role(Role.CONSTANT))
    root &= o.among(o.graph.role(Role.OPTIMIZER)) & (o.x.max > 0)
    below = root & (o.x.max < o.y.min)
    return np.asarray(below & (2 * np.count_nonzero(below) > np.count_nonzero(root)))


RULES = (
    Rule(
        id="learning-rate-high",
        title="Weights change by more than a tenth in every step, and the loss does not fall",
        families=("update",),
        where=_trained_matrix,
        when=_too_large,
        precondition="over 10 records the root mean square of a trained matrix's update is above a tenth of the "
        "matrix's own, and the median loss of the last 5 records is not below the first loss",
        explain="{op} changes {variable} by {n.part} of its size in every step: {n.usual}. The loss "
        "began at {n.first:.4g}, and is {n.last:.4g}.",
        figures=_rate_figures,
        fix=Fix("Lower the learning rate.", "keras.optimizers.Adam(1e-1)", "keras.optimizers.Adam(1e-3)"),
        source="MindInsight: log10 of update over weight above -1; AUTOTRAINER (ICSE 2021)",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.POSSIBLE,
        patience=PERSISTENT,
        once=True,
    ),
    Rule(
        id="learning-rate-low",
        title="Steps are so small that nothing changes",
        families=("update",),
        where=_trained_matrix,
        when=_too_small,
        precondition="the updates of all trained matrices are below 2^-20 of them, the norm of all gradients is above "
        "2^-10 of theirs, and over at least 50 records the loss has moved by less than it differs from batch to batch",
        explain="{op} changes {variable} by {n.part} of its size in a step, and no matrix changes more: "
        "{n.usual}. The loss stays at {n.last:.4g}, although the gradient is there (norm {n.norm:.3g}).",
        figures=_rate_figures,
        fix=Fix("Raise the learning rate.", "keras.optimizers.SGD(1e-7)", "keras.optimizers.SGD(1e-2)"),
        source="MindInsight: log10 of update over weight below -4; SageMaker Debugger",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.POSSIBLE,
        patience=PERSISTENT,
        once=True,
    ),
    Rule(
        id="gradient-spikes",
        title="Gradients jump, and nothing clips them",
        families=(),
        when=_spiking,
        precondition="the norm of all gradients is 10 times its median over at least 20 records and twice its largest "
        "so far, the second time, and the optimizer has no clip",
        explain="{op} is the largest part of a gradient of norm {n.norm:.3g}, where {n.usual:.3g} is usual; clipping "
        "to a norm of {n.clipnorm:.2g} would leave nine steps of ten as they are.",
        figures=_norm_figures,
        fix=Fix(
            "Clip the gradients to the norm named here.",
            "keras.optimizers.Adam(1e-3)",
            "keras.optimizers.Adam(1e-3, global_clipnorm=...)",
        ),
        source="Pascanu et al. 2013 (clip to a multiple of the usual norm); AUTOTRAINER (ICSE 2021)",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.POSSIBLE,
        once=True,
    ),
    Rule(
        id="optimizer-epsilon-dominates",
        title="The optimizer's epsilon is larger than the gradients",
        families=("add",),
        when=_epsilon_dominates,
        precondition="over 5 records, for most variables, every sqrt(v) in the sqrt(v) + epsilon of an optimizer is "
        "below epsilon, and above 0 somewhere",
        explain="{op} adds an epsilon of {y.max:.3g} to root mean squares of gradients of at most {x.max:.3g}: steps "
        "are no longer scaled by the gradient's size, and shrink with it. An epsilon of {n.epsilon:.0e} would be small "
        "beside them.",
        figures=lambda o, i: {"epsilon": float(o.x.max[i]) * SMALL_BESIDE},
        fix=Fix(
            "Lower epsilon, or scale the loss up.",
            "keras.optimizers.Adam(1e-3, epsilon=1e-3)",
            "keras.optimizers.Adam(1e-3, epsilon=1e-8)",
        ),
        source="Wortsman et al. 2023 (small-scale proxies): RMS of the gradient near epsilon stops training",
        stage=Stage.STANDING,
        severity=Severity.INFO,
        certainty=Certainty.PROVEN,
        patience=5,
        once=True,
    ),
)
