"""Gradients that turn round in every step: the learning rate is too large for the curvature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import never
from tb_numstab.analysis.rules.rule import Rule, Stage, Trend

GROWING = 6
"""Reversed pairs on end, each longer than the one before: of noise 7 lengths in ascending order are 1 in 5,000."""

GROWN = 3.0
"""Bits that the gradients must have grown over these pairs."""

STALLED = 32
"""Reversed pairs on end over which the loss should have fallen."""

LONG_WAY = 100.0
"""How far ahead divergence is foretold, in multiples of the steps it was seen over: it is exponential."""

FALLING = 0.1
"""Share of the oscillation by which the loss must have fallen over these pairs: the oscillation itself calms down."""

SWING = 0.05
"""Share of the first loss that an oscillation must hold up to be worth a warning. At the edge of stability, where the
loss may stand for 90 steps and then falls on, it held up 1 % at most."""


def _at_largest(o: Ops, holds: bool) -> Mask:
    """The update of the largest trained variable, if something holds: the learning rate is that of all of them."""
    if not holds:
        return never(o)
    size = np.where(o.among(o.graph.trainable), np.nan_to_num(o.out.size), 0)
    return np.asarray((size > 0) & (np.arange(len(size)) == np.argmax(size)))


def _diverges(o: Ops) -> Mask:
    """Each reversal is larger than the one before, and the loss is above where it began."""
    course = o.memory.course
    growing = course.reversals.growing
    grows = len(growing) >= GROWING and sum(growing) >= GROWN
    return _at_largest(o, grows and not course.loss[-1] <= course.loss[0])


def _height(o: Ops) -> Floats:
    """log2 of the loss, which grows with the square of the gradients; of the gradients where there is no loss."""
    course = o.memory.course
    loss = abs(course.loss[-1])
    return np.full(len(o.slots), np.log2(loss if np.isfinite(loss) else course.norm[-1]))


def _stalls(o: Ops) -> Mask:
    """The reversal holds up a share of the loss, which does not fall."""
    course = o.memory.course
    turning = course.reversals
    if not turning.lasting or turning.pairs < STALLED:
        return never(o)
    loss, swing = np.array(course.loss[-turning.records :]), _swing(o)
    fell = np.median(loss[: len(loss) // 2]) - np.median(loss[len(loss) // 2 :])
    return _at_largest(o, fell < FALLING * swing and swing >= SWING * abs(course.loss[0]))


def _swing(o: Ops) -> float:
    """What the oscillation adds to the loss: length of gradient times length of change over 2 (1 + growth).

    That is h x^2 / 2 of a valley of curvature h crossed by a change of (1 + growth) x.
    """
    course = o.memory.course
    change = float(np.sqrt(np.nansum(o.y.sum_sq[o.among(o.graph.trainable)])))
    return course.norm[-1] * change / (2 * (1 + course.reversals.growth))


def _reverses(o: Ops) -> Mask:
    return _at_largest(o, o.memory.course.reversals.lasting)


def _figures(o: Ops, index: int) -> Mapping[str, float | str]:
    course = o.memory.course
    turning = course.reversals
    return {
        "pairs": float(turning.pairs),
        "share": turning.turned,
        "growth": turning.growth,
        "first": course.loss[0],
        "last": course.last_loss,
        "swing": _swing(o),
        "advice": _advice(turning.growth, _plain_rate(o, index)),
    }


def _advice(growth: float, rate: float) -> str:
    """The learning rate that would not do this. Only plain gradient descent says what the curvature is."""
    limit = 2 / (1 + growth)
    if not rate > 0:
        return f"In plain gradient descent {limit:.2g} of this learning rate would be the limit of stability."
    curvature = (1 + growth) / rate
    return f"At a learning rate of {rate:.3g} that is a curvature of {curvature:.3g}: the limit is {rate * limit:.3g}."


def _plain_rate(o: Ops, index: int) -> float:
    """The number by which plain gradient descent multiplies a gradient to get the change; NaN for what is not plain."""
    graph, change = o.graph, int(o.y_slots[index])
    if change < 0 or graph.family(change) != "mul":
        return np.nan
    factors = np.array([graph.x[change], graph.y[change]])
    gradient = np.isin(factors, o.anatomy.gradients)
    if gradient.sum() != 1 or not graph.scalar[factors[~gradient]].all():
        return np.nan
    return float(Columns.of(o.table, factors[~gradient]).magnitude[0])


_FIX = Fix(
    "Halve the learning rate, or take one below the limit named here.",
    "keras.optimizers.SGD(1.0)",
    "keras.optimizers.SGD(0.5)",
)

_SOURCE = "LeCun et al. 1998, Efficient BackProp (from 2 / curvature on descent diverges); Pflug 1990"

HARMFUL = (
    Rule(
        id="learning-rate-diverges",
        title="Gradients turn round in every step, and grow",
        families=("update",),
        when=_diverges,
        precondition="in 6 pairs of records on end, each an odd number of steps apart, the gradients of all trained "
        "variables turn round (what their extremes and signs lean to has a cosine below -0.75), each is longer than "
        "the one before and the last 8 times the first, the loss is above where it began and rises steadily; the data "
        "do not alternate",
        explain="Gradients turn round from step to step ({n.share:.0%} of their extremes and signs in the last), and "
        "grow {n.growth:.3g}-fold in each; the loss began at {n.first:.4g}, and is {n.last:.4g}. {n.advice}",
        figures=_figures,
        fix=_FIX,
        source=_SOURCE,
        stage=Stage.TREND,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        once=True,
        trend=Trend(value=_height, limit=lambda o: o.max_exp + 1, change=1.0, event="overflows", horizon=LONG_WAY),
    ),
    Rule(
        id="learning-rate-oscillates",
        title="Gradients turn round in every step, and the loss does not fall",
        families=("update",),
        when=_stalls,
        precondition="in 32 pairs of records on end, each an odd number of steps apart, the gradients turn round (as "
        "above) and keep their length within a factor of 2, the loss is no lower in the later half of them, and the "
        "oscillation holds up a twentieth of the first loss; the data do not alternate",
        explain="Gradients have turned round {n.pairs:.0f} times on end ({n.share:.0%} of their extremes and signs in "
        "the last), to {n.growth:.3g} of their length in each step. The loss stays at {n.last:.4g}, of which the "
        "oscillation makes {n.swing:.3g}. {n.advice}",
        figures=_figures,
        fix=_FIX,
        source=_SOURCE,
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        once=True,
    ),
)

REVERSING = Rule(
    id="gradients-reverse",
    title="Gradients turn round in every step",
    families=("update",),
    when=_reverses,
    precondition="in 12 pairs of records on end, each an odd number of steps apart, the gradients turn round (as "
    "above) and keep their length within a factor of 2; the data do not alternate",
    explain="Gradients have turned round {n.pairs:.0f} times on end ({n.share:.0%} of their extremes and signs in "
    "the last), to {n.growth:.3g} of their length in each step; the loss began at {n.first:.4g}, and is "
    "{n.last:.4g}. {n.advice}",
    figures=_figures,
    fix=_FIX,
    source="Cohen et al. 2021: full-batch descent hovers at a curvature of 2 / learning rate while the loss falls",
    stage=Stage.STANDING,
    severity=Severity.INFO,
    certainty=Certainty.POSSIBLE,
    once=True,
)
