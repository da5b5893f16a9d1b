"""The advice on formats in plain words."""

from __future__ import annotations

import math

from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.narrate import counted, place
from tb_numstab.analysis.precision import NEGLIGIBLE, Advice, Fit, Precision
from tb_numstab.schema.formats import FORMATS

NOTABLE = 0.01
"""Share of lost updates, or of vanishing optimizer state, that is worth a word."""

MOST = 0.5
"""Share of gradient elements with which most of a gradient lies below a format's normal numbers."""

_NAMED = 3
"""Places named in a sentence; the list beside it has them all."""


def percent(share: float) -> str:
    """A share for a reader; estimates from samples are not told more precisely."""
    return "none" if share <= 0 else "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def summary(graph: OpGraph, precision: Precision) -> list[str]:
    """The whole answer: what to do first, then what each 16-bit format does and would do."""
    told = [recommendation(precision)]
    told += [f"{a.fmt.name}: {advice_text(graph, precision, a)}" for a in precision.advice if a.fmt.bits == 16]
    if precision.broken:
        told.append(f"Left out: {counted(precision.broken, 'measured step')} where NaN or Inf did harm.")
    return told


def recommendation(precision: Precision) -> str:
    """What to do, in one sentence."""
    if FORMATS[precision.computes_in].bits > 16:
        return _for_wide_run(precision)
    current = precision.of(precision.computes_in)
    name, activations, gradients = current.fmt.name, current.part("activations"), current.part("gradients")
    if activations is not None and activations.overflowing:
        return f"{name} is too narrow: compute {counted(len(current.keep), 'place')} in float32, or use bfloat16."
    if gradients is not None and gradients.underflow > NEGLIGIBLE:
        return f"{name} loses {percent(gradients.underflow)} of the gradient elements: scale the loss, or use bfloat16."
    if precision.broken:
        return f"{name} held until NaN or Inf did harm: look at the findings first."
    if gradients is not None and gradients.subnormal > MOST:
        return f"{percent(gradients.subnormal)} of the gradient elements lose precision in {name}: scale the loss."
    if precision.weights_in == name:
        return f"{name} has the range; but keep the weights in float32, with the policy mixed_{name}."
    return f"{name} does well here: leave it as it is."


def _for_wide_run(precision: Precision) -> str:
    bfloat16, float16 = precision.of("bfloat16"), precision.of("float16")
    if bfloat16.fit == float16.fit == Fit.FITS:
        return "Either 16-bit format would do, with the weights kept in float32."
    if float16.fit == Fit.NOT:
        needs = "; float16 would not"
    else:
        needs = f"; float16 needs {_measures(float16)}"
    if bfloat16.fit == Fit.FITS:
        return f"bfloat16 would do as it is, with the weights kept in float32{needs}."
    if bfloat16.fit == Fit.WITH_CARE:
        return f"bfloat16 needs {_measures(bfloat16)}{needs}."
    return f"Stay with {precision.computes_in}: too much leaves the range of 16-bit formats."


def _measures(advice: Advice) -> str:
    measures = []
    if advice.loss_scale is not None:
        measures.append(f"a loss scale of about 2^{advice.loss_scale.exponent}")
    if advice.keep:
        measures.append(f"{counted(len(advice.keep), 'place')} in float32")
    return " and ".join(measures) or "nothing"


def code(precision: Precision) -> str:
    """The Keras line that does what the recommendation says; "" where nothing is to change."""
    current = precision.computes_in
    if FORMATS[current].bits > 16:
        target = next((n for n in ("bfloat16", "float16") if precision.of(n).fit in (Fit.FITS, Fit.WITH_CARE)), "")
    else:
        own = precision.of(current)
        troubled = bool(own.keep) or any(p.name == "gradients" and p.underflow > NEGLIGIBLE for p in own.parts)
        target = "bfloat16" if troubled else current if precision.weights_in == current else ""
    return f'keras.mixed_precision.set_global_policy("mixed_{target}")' if target else ""


def advice_text(graph: OpGraph, precision: Precision, advice: Advice) -> str:
    """What one format does or would do, in a few sentences."""
    if advice.fmt.bits == 8:
        return _narrow_text(advice)
    if advice.fit == Fit.IN_USE:
        return _in_use_text(advice, precision.scale)
    return " ".join(filter(None, (_overflow_text(graph, advice), _gradient_text(advice), _weights_text(advice))))


def _overflow_text(graph: OpGraph, advice: Advice) -> str:
    if not advice.keep:
        return "Nothing would leave its range."
    named = [f"{graph.sites[k.slot].op_type} at {place(graph.sites[k.slot])}" for k in advice.keep[:_NAMED]]
    more = len(advice.keep) - len(named)
    names = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return f"{counted(len(advice.keep), 'place')} would need float32: {names}."


def _gradient_text(advice: Advice) -> str:
    scale, gradients = advice.loss_scale, advice.part("gradients")
    if gradients is None or (scale is None and gradients.underflow <= NEGLIGIBLE):
        return ""
    if scale is None:
        return f"{percent(gradients.underflow)} of the gradient elements would become 0, and no loss scale helps."
    left = "under 0.1 %" if 0 < scale.remaining <= NEGLIGIBLE else percent(scale.remaining)
    span = f"2^{scale.low} to 2^{scale.high} will do" if scale.low < scale.high else "the largest that fits"
    return (
        f"Without a loss scale {percent(scale.underflow)} of the gradient elements would become 0, and "
        f"{percent(gradients.subnormal)} would lose precision; with 2^{scale.exponent} ({span}) {left} would become 0."
    )


def _weights_text(advice: Advice) -> str:
    weights, optimizer = advice.part("weights"), advice.part("optimizer")
    harm = []
    if weights is not None and weights.lost is not None and weights.lost >= NOTABLE:
        harm.append(f"about {percent(weights.lost)} of their updates would be lost")
    if optimizer is not None and optimizer.underflow >= NOTABLE:
        harm.append(f"{percent(optimizer.underflow)} of the optimizer's values would become 0")
    return f"Keep weights and optimizer in float32: {' and '.join(harm)}." if harm else ""


def _in_use_text(advice: Advice, scale: float) -> str:
    activations, gradients, weights = (advice.part(name) for name in ("activations", "gradients", "weights"))
    if activations is not None and activations.overflowing:
        told = [f"{counted(activations.overflowing, 'tensor')} of the forward pass overflowed."]
    else:
        told = ["Nothing in the forward pass overflowed."]
    if gradients is not None and gradients.underflow + gradients.subnormal > 0:
        zero, small = percent(gradients.underflow), percent(gradients.subnormal)
        told.append(f"Of the gradient elements {zero} became 0, {small} lost precision below the normal numbers.")
    if not math.isnan(scale) and advice.fmt.name == "float16":
        told.append(f"The loss scale went up to {scale:,.0f}.")
    if weights is not None and weights.lost is not None and weights.lost >= NOTABLE:
        told.append(f"{percent(weights.lost)} of the updates of the weights were lost.")
    return " ".join(told)


def _narrow_text(advice: Advice) -> str:
    if not advice.parts:
        return "There is no matrix product to gain from it."
    shares = ", ".join(f"{p.name} {percent(p.underflow)}" for p in advice.parts)
    return f"For operands of matrix products only, each scaled to fit. Of their elements would become 0: {shares}."
