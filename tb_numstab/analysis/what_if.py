"""What the measured magnitudes would be in another format: what overflows, vanishes, is lost.

That a tensor overflows is certain, for its largest element was measured; shares of elements come from
sampled histograms. What the other format's rounding would do to the course of the training is not
predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.analysis.spread import Distribution, Spread
from tb_numstab.schema.formats import FloatFormat


@dataclass(frozen=True)
class Outcome:
    """What becomes of some slots in a format, float64 [n] each.

    Attributes:
      total: their non-zero elements.
      over: elements that leave the range.
      zero: non-zero elements that become 0.
      subnormal: elements left below the normal numbers, with fewer digits.
      overflows: bool [n], some element leaves the range for certain.
    """

    total: Floats
    over: Floats
    zero: Floats
    subnormal: Floats
    overflows: Mask


def outcome(graph: OpGraph, spread: Spread, slots: Slots, fmt: FloatFormat, shift: Floats | float = 0.0) -> Outcome:
    """What becomes of ``slots`` in a format; of those already in it, what did become of them.

    Args:
      graph: the op table.
      spread: of the session.
      slots: int64 [n].
      fmt: the format.
      shift: bits by which every element is scaled up first, float64 [n] or one number for all.
    """
    own = graph.in_format(fmt.name)[slots]
    elements = Distribution(spread, slots)
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = spread.largest[slots] * np.exp2(shift) >= overflow_limit(fmt)
    overflows = np.where(own, spread.total("overflow")[slots] > 0, beyond)
    # Magnitudes above half the smallest number round up to it.
    zero = elements.below(fmt.min_subnormal_exp - 1 - shift)
    subnormal = elements.below(fmt.min_exp - shift) - zero
    over = np.where(own, spread.total("overflow")[slots], elements.total - elements.below(fmt.max_exp + 1 - shift))
    over = np.where(overflows, np.maximum(over, 1), 0)
    zero = np.where(own, np.maximum(spread.total("underflow")[slots] - spread.total("subnormal")[slots], 0), zero)
    subnormal = np.where(own, spread.total("subnormal")[slots], subnormal)
    total = np.where(own, elements.total + over + zero, np.maximum(elements.total, over))
    return Outcome(total, over, zero, subnormal, np.asarray(overflows, bool))


def overflow_limit(fmt: FloatFormat) -> float:
    """The smallest magnitude that rounds beyond the largest finite number."""
    return float(fmt.max_value + 2.0 ** (fmt.max_exp - fmt.precision))


def room(spread: Spread, slots: Slots, fmt: FloatFormat) -> Floats:
    """Bits by which each slot can be scaled up before its largest element overflows, float64 [n]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.floor(np.log2(fmt.max_value / spread.largest[slots])), np.float64)


def updates_lost(graph: OpGraph, spread: Spread, formats: Sequence[FloatFormat]) -> list[float]:
    """Share of the updates of trained variables that would round away if these were kept in each format.

    Of variables in this very format the lost updates were counted. Else a change is lost when it is below
    half a unit in the last place; as it was not recorded which change met which element, they are paired
    at random.

    Returns:
      NaN where no trained variable is updated by a change.
    """
    u = graph.updates
    trained = graph.trainable[u.slots]
    totals, changes = u.total[trained], u.change[trained]
    elements = Distribution(spread, totals).by_exponent()
    deltas = Distribution(spread, changes).by_exponent()
    at_least = np.cumsum(elements[:, ::-1], axis=1)[:, ::-1]  # elements of each exponent or a larger one
    share_at_least = np.divide(at_least, at_least[:, :1], out=np.zeros_like(at_least), where=at_least[:, :1] > 0)
    out = []
    for fmt in formats:
        own = graph.in_format(fmt.name)[totals]
        gap = fmt.precision + 1
        beside_larger = np.pad(share_at_least[:, gap:], ((0, 0), (0, gap)))
        lost = np.where(own, spread.total("absorbed")[totals], (deltas * beside_larger).sum(axis=1)).sum()
        changed = np.where(own, spread.total("operands")[totals], deltas.sum(axis=1)).sum()
        out.append(float(lost / changed) if changed else np.nan)
    return out
