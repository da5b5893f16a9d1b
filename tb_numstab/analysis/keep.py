"""Which ops must stay in a wide format when the rest of the run changes to a narrower one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.analysis.narrate import called
from tb_numstab.analysis.spread import Spread
from tb_numstab.analysis.what_if import outcome, overflow_limit
from tb_numstab.schema.formats import FloatFormat
from tb_numstab.schema.ops import Role

OVERFLOWS, VANISHES, TOO_MANY = "overflows", "becomes 0", "too many elements"

_GUARDED = ("add", "sub", "clip", "div")
"""Families to which a small literal is a guard against 0."""


@dataclass(frozen=True)
class Keep:
    """One place that needs a wide format.

    Attributes:
      slot: the first slot there.
      reason: OVERFLOWS, VANISHES or TOO_MANY.
      text: one sentence with the numbers.
    """

    slot: int
    reason: str
    text: str


def keep_wide(graph: OpGraph, spread: Spread, fmt: FloatFormat, among: Mask) -> tuple[Keep, ...]:
    """Places whose values a format cannot hold, in graph order; one for each source line.

    Args:
      graph: the op table.
      spread: of the session.
      fmt: the narrower format.
      among: bool [N], the slots that would change to it.
    """
    slots = np.flatnonzero(among)
    changing = among & ~graph.in_format(fmt.name)
    found = [
        *_overflowing(graph, spread, fmt, slots),
        *_dead_literals(graph, spread, fmt, changing),
        *_at_poles(graph, spread, fmt, changing),
        *_long_means(graph, spread, fmt, among),
    ]
    places: dict[object, Keep] = {}
    for keep in sorted(found, key=lambda k: k.slot):
        places.setdefault(graph.sites[keep.slot].source or keep.slot, keep)
    return tuple(places.values())


def _overflowing(graph: OpGraph, spread: Spread, fmt: FloatFormat, slots: Slots) -> Iterator[Keep]:
    """Where overflow begins: beyond the range, out of operands that are all within it."""
    beyond = graph.as_mask(slots[outcome(graph, spread, slots, fmt).overflows])
    behind = graph.as_mask(graph.edge_target[beyond[graph.edge_source]])
    for slot in np.flatnonzero(beyond & ~behind).tolist():
        site, largest = graph.sites[slot], spread.largest[slot]
        if site.dtype == fmt.name:
            lost = spread.total("overflow")[slot]
            yield Keep(slot, OVERFLOWS, f"{called(graph, slot)} overflowed in {lost:,.0f} elements.")
        elif site.role is Role.CONSTANT:
            reader = _reader(graph, slot)
            what = f"{called(graph, reader)} gets a literal of magnitude {largest:.4g}"
            yield Keep(reader, OVERFLOWS, f"{what}, which becomes {'infinite' if fmt.has_inf else 'NaN'}.")
        else:
            text = f"{called(graph, slot)} reaches {largest:.5g}; {fmt.name} ends at {fmt.max_value:.5g}."
            yield Keep(slot, OVERFLOWS, text)


def _reader(graph: OpGraph, slot: int) -> int:
    """The first op that reads a literal, which itself has no source line."""
    return int(graph.consumers(slot).min())


def _dead_literals(graph: OpGraph, spread: Spread, fmt: FloatFormat, changing: Mask) -> Iterator[Keep]:
    """Small literals that guard something, until they round to 0."""
    guards = graph.as_mask(graph.edge_source[graph.mask(*_GUARDED)[graph.edge_target]])
    tiny = (spread.largest > 0) & (spread.largest <= 2.0 ** (fmt.min_subnormal_exp - 1))
    for slot in np.flatnonzero(changing & tiny & guards & graph.role(Role.CONSTANT)).tolist():
        reader = _reader(graph, slot)
        what = f"{called(graph, reader)} gets the literal {spread.largest[slot]:.3g}"
        yield Keep(reader, VANISHES, f"{what}, which becomes 0 and guards nothing.")


def _at_poles(graph: OpGraph, spread: Spread, fmt: FloatFormat, changing: Mask) -> Iterator[Keep]:
    """Values that were never 0 and would be, where 0 is a pole: a denominator, the argument of a logarithm."""
    poles = {
        int(operand): int(consumer)
        for families, operands in ((("log", "rsqrt", "reciprocal"), graph.x), (("div",), graph.y))
        for consumer in graph.members(*families)
        if (operand := operands[consumer]) >= 0
    }
    vanish = changing & (spread.total("zero") == 0) & (spread.min_exp < fmt.min_subnormal_exp - 1)
    for slot in np.flatnonzero(vanish).tolist():
        if slot in poles:
            what, consumer = called(graph, slot), graph.sites[poles[slot]].op_type
            yield Keep(
                slot, VANISHES,
                f"{what} falls to 2^{spread.min_exp[slot]:.0f}, which becomes 0: a pole of {consumer} behind it.",
            )  # fmt: skip


def _long_means(graph: OpGraph, spread: Spread, fmt: FloatFormat, among: Mask) -> Iterator[Keep]:
    """Mean divides by the number of elements, in the format itself: measured on TensorFlow 2.21."""
    means = graph.members("mean")
    means = means[among[means] & (graph.x[means] >= 0)]
    with np.errstate(invalid="ignore", divide="ignore"):
        length = spread.total("size")[graph.x[means]] / spread.total("size")[means]
    for i in np.flatnonzero(length >= overflow_limit(fmt)):
        text = f"{called(graph, int(means[i]))} of {length[i]:,.0f} elements: that number overflows {fmt.name}."
        yield Keep(int(means[i]), TOO_MANY, text)
