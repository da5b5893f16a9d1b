"""Advice on formats: what each would do to the whole run, and what to keep in float32."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tb_numstab.analysis.anatomy import Anatomy
from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.analysis.keep import Keep, keep_wide
from tb_numstab.analysis.spread import Distribution, Spread
from tb_numstab.analysis.what_if import Outcome, outcome, room, updates_lost
from tb_numstab.schema.formats import FORMATS, FloatFormat
from tb_numstab.schema.ops import Role

CANDIDATES = ("float32", "bfloat16", "float16", "float8_e5m2", "float8_e4m3fn")
"""Formats that are advised on, the widest first."""

NEGLIGIBLE = 0.001
"""Share of gradient elements that may become 0 unnoticed. Measured on healthy float32 trainings: 0.0002 to 0.009."""

LOSSY = 0.25
"""Share of gradient elements from which a format that makes them 0 does not fit. Those that vanish are the smallest,
and little depends on them: in Micikevicius et al. 2018 what lies below 2^-27 was irrelevant."""

FAINT = 0.05
"""Share of gradient elements that a loss scale leaves below the normal numbers, where they have fewer digits."""

FEW = 8
"""Places that can be kept in float32 by hand."""

MANY = 0.25
"""Share of overflowing tensors from which keeping them in float32, at more than a FEW places, is no way out."""


class Fit(Enum):
    """Verdicts on a format. WITH_CARE: it fits once a few ops stay in float32, or the loss is scaled."""

    IN_USE = "in use"
    FITS = "fits"
    WITH_CARE = "with care"
    NOT = "does not fit"


@dataclass(frozen=True)
class Part:
    """One kind of tensor in a format.

    Attributes:
      name: "activations", "gradients", "weights" or "optimizer".
      tensors: how many were measured.
      overflowing: tensors of which some element overflows.
      overflow, underflow, subnormal: shares of the non-zero elements; underflow is to become 0.
      lost: of weights kept in the format, the share of their updates that round away; else None.
    """

    name: str
    tensors: int
    overflowing: int
    overflow: float
    underflow: float
    subnormal: float
    lost: float | None = None


@dataclass(frozen=True)
class LossScale:
    """A power of two that keeps gradients above the smallest number and below the largest.

    Attributes:
      exponent: of the suggested scale, half way between ``low`` and ``high``.
      low, high: exponents of the smallest scale that leaves but a NEGLIGIBLE share to become 0 and a FAINT
        one subnormal, and of the largest that stays a bit away from overflow; both are ``high`` where none is
        large enough.
      underflow, remaining: share of gradient elements that become 0 without it, and with it.
    """

    exponent: int
    low: int
    high: int
    underflow: float
    remaining: float


@dataclass(frozen=True)
class Advice:
    """What one format would do to the run.

    Attributes:
      fmt: the format.
      fit: a verdict of Fit.
      parts: by kind of tensor; those the run has. In an 8-bit format the operands of matrix products only,
        each scaled by a power of two so that its largest element fits.
      loss_scale: where one would help.
      keep: what must stay in float32.
    """

    fmt: FloatFormat
    fit: Fit
    parts: tuple[Part, ...]
    loss_scale: LossScale | None = None
    keep: tuple[Keep, ...] = ()

    def part(self, name: str) -> Part | None:
        """The part of that name, or None where the run has none."""
        return next((p for p in self.parts if p.name == name), None)


@dataclass(frozen=True)
class Precision:
    """The run's formats, and advice on each candidate.

    Attributes:
      computes_in: the format of most matrix products, or of most ops where there are none.
      weights_in: the format of most trained variables; "" without any.
      tensors_in: tensors of the forward and backward pass by format, the most frequent first.
      scale: the largest value of the run's loss scale, NaN without one.
      broken: records left out, for a NaN or Inf in them that does harm.
      advice: one entry for each of CANDIDATES.
    """

    computes_in: str
    weights_in: str
    tensors_in: tuple[tuple[str, int], ...]
    scale: float
    broken: int
    advice: tuple[Advice, ...]

    def of(self, name: str) -> Advice:
        """The advice on one of CANDIDATES."""
        return self.advice[CANDIDATES.index(name)]


def precision_advice(graph: OpGraph, spread: Spread) -> Precision:
    """Judges every candidate format by what a session measured."""
    measured = np.isfinite(spread.largest)
    passes = measured & graph.role(Role.FORWARD, Role.GRADIENT)
    products = passes & graph.mask("matmul", "conv")
    formats = _formats(graph, passes)
    computes_in = (_formats(graph, products) or formats or [("float32", 0)])[0][0]
    weights = _formats(graph, graph.trainable & graph.role(Role.VARIABLE))
    candidates = [FORMATS[name] for name in CANDIDATES]
    lost = updates_lost(graph, spread, candidates)
    return Precision(
        computes_in=computes_in,
        weights_in=weights[0][0] if weights else "",
        tensors_in=tuple(formats),
        scale=_scale_in_use(graph, spread),
        broken=spread.broken,
        advice=tuple(
            _advice(graph, spread, fmt, fmt.name == computes_in, of_updates)
            for fmt, of_updates in zip(candidates, lost, strict=True)
        ),
    )


def _formats(graph: OpGraph, chosen: Mask) -> list[tuple[str, int]]:
    return Counter(graph.sites[s].dtype for s in np.flatnonzero(chosen)).most_common()


def _scale_in_use(graph: OpGraph, spread: Spread) -> float:
    scales = spread.largest[Anatomy(graph).loss_scales]
    return float(np.nanmax(scales)) if np.isfinite(scales).any() else np.nan


def _advice(graph: OpGraph, spread: Spread, fmt: FloatFormat, in_use: bool, lost: float) -> Advice:
    if fmt.bits == 8:
        return _narrow_advice(graph, spread, fmt, in_use, lost)
    chosen = _parts(graph, spread)
    if in_use:
        chosen = {name: mask & graph.in_format(fmt.name) for name, mask in chosen.items()}
    outcomes = {name: outcome(graph, spread, np.flatnonzero(mask), fmt) for name, mask in chosen.items()}
    parts = _told(outcomes, lost)
    keep = keep_wide(
        graph, spread, fmt, chosen["activations"] if in_use else chosen["activations"] | chosen["gradients"]
    )
    scale = None if in_use else _loss_scale(graph, spread, np.flatnonzero(chosen["gradients"]), fmt)
    return Advice(fmt, _fit(in_use, parts, scale, keep), parts, scale, keep)


def _parts(graph: OpGraph, spread: Spread) -> dict[str, Mask]:
    """Measured slots by kind; literals and data count as activations where a forward op reads them."""
    measured = np.isfinite(spread.largest) & np.isfinite(graph.precision)
    forward, given = graph.role(Role.FORWARD), graph.role(Role.INPUT, Role.CONSTANT)
    read = graph.as_mask(graph.edge_source[forward[graph.edge_target]])
    state = graph.role(Role.VARIABLE, Role.UPDATE)
    return {
        "activations": measured & (forward | (given & read)),
        "gradients": measured & graph.role(Role.GRADIENT),
        "weights": measured & graph.role(Role.VARIABLE) & graph.trainable,
        "optimizer": measured & ((state & ~graph.trainable) | graph.role(Role.OPTIMIZER)),
    }


def _told(outcomes: dict[str, Outcome], lost: float) -> tuple[Part, ...]:
    parts = []
    for name, found in outcomes.items():
        if not len(found.total):
            continue
        whole = max(1.0, found.total.sum())
        over, zero, subnormal = (float(count.sum() / whole) for count in (found.over, found.zero, found.subnormal))
        of_updates = None if name != "weights" or np.isnan(lost) else lost
        parts.append(Part(name, len(found.total), int(found.overflows.sum()), over, zero, subnormal, of_updates))
    return tuple(parts)


def _loss_scale(graph: OpGraph, spread: Spread, gradients: Slots, fmt: FloatFormat) -> LossScale | None:
    """The scale for the gradients that fit as they are; None where none is needed, or none would help.

    Scalars are left out: they belong to the loss, which is not computed in 16 bits.
    """
    overflows = outcome(graph, spread, gradients, fmt).overflows
    fitting = gradients[~overflows & ~graph.scalar[gradients] & (spread.largest[gradients] > 0)]
    elements = Distribution(spread, fitting)
    total = elements.total.sum()
    if not total:
        return None

    def below(exponent: int) -> float:
        return float(elements.below(exponent).sum() / total)

    def enough(scale: int) -> bool:
        return below(fmt.min_subnormal_exp - 1 - scale) <= NEGLIGIBLE and below(fmt.min_exp - scale) <= FAINT

    high = int(room(spread, fitting, fmt).min()) - 1
    if high < 1 or enough(0):
        return None
    low = next((scale for scale in range(high) if enough(scale)), high)
    exponent = (low + high) // 2
    bare, scaled = (below(fmt.min_subnormal_exp - 1 - scale) for scale in (0, exponent))
    return LossScale(exponent, low, high, underflow=bare, remaining=scaled)


def _fit(in_use: bool, parts: tuple[Part, ...], scale: LossScale | None, keep: tuple[Keep, ...]) -> Fit:
    if in_use:
        return Fit.IN_USE
    passes = [p for p in parts if p.name in ("activations", "gradients")]
    vanishing = next((p.underflow for p in passes if p.name == "gradients"), 0.0) if scale is None else scale.remaining
    widespread = sum(p.overflowing for p in passes) > MANY * sum(p.tensors for p in passes)
    if vanishing > LOSSY or (widespread and len(keep) > FEW):
        return Fit.NOT
    return Fit.WITH_CARE if keep or scale is not None else Fit.FITS


def _narrow_advice(graph: OpGraph, spread: Spread, fmt: FloatFormat, in_use: bool, lost: float) -> Advice:
    """An 8-bit format is for operands of matrix products only, each scaled so that its largest element fits."""
    products = graph.members("matmul", "conv")
    operands = graph.as_mask(np.concatenate([graph.x[products], graph.y[products]]))
    chosen = {
        name: np.flatnonzero(mask & operands) for name, mask in _parts(graph, spread).items() if name != "optimizer"
    }
    outcomes = {
        name: outcome(graph, spread, slots, fmt, shift=np.nan_to_num(room(spread, slots, fmt), posinf=0))
        for name, slots in chosen.items()
    }
    parts = _told(outcomes, lost)
    meant = ("gradients",) if fmt.max_exp >= 15 else ("activations", "weights")
    vanishing = max((p.underflow for p in parts if p.name in meant), default=0.0)
    fit = Fit.IN_USE if in_use else Fit.WITH_CARE if parts and vanishing <= LOSSY else Fit.NOT
    return Advice(fmt, fit, parts)
