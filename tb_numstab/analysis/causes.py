"""One hop back from an event: why the operand held what it held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tb_numstab.analysis.columns import OneRow
from tb_numstab.analysis.finding import Hop
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.narrate import called, place
from tb_numstab.analysis.ops import Ops
from tb_numstab.schema.columns import Row

MAX_CAUSES = 4
"""Hops back that are told, at most: each is less certain to be what the user is after."""


@dataclass(frozen=True)
class Cause:
    """Why an op's result has a property.

    Attributes:
      families: of the op; () for any.
      holds: (operand x, operand y, result) -> whether this is the reason.
      text: a template as Rule.explain.
      next: the operand and property to ask about next, such as ``"x.zero"``; "" ends the chain.
    """

    families: tuple[str, ...]
    holds: Callable[[OneRow, OneRow, OneRow], bool]
    text: str
    next: str = ""


def _always(x: OneRow, y: OneRow, out: OneRow) -> bool:
    return True


_CAUSES: dict[str, tuple[Cause, ...]] = {
    "zero": (
        Cause(
            ("softmax",),
            lambda x, y, out: x.spread > 15,
            "{op} underflowed to 0 in {out.zero:,.0f} of {out.size:,.0f} elements: its logits spread over up to "
            "{x.spread:.4g}, and in {f.name} exp(x) is 0 below {f.exp_underflow:.4g}",
        ),
        Cause(
            ("sigmoid",),
            lambda x, y, out: out.zero > 0 and x.min < 0,
            "{op} underflowed: its argument goes down to {x.min:.4g} (limit {f.exp_underflow:.4g})",
        ),
        Cause(
            ("exp",),
            lambda x, y, out: x.neg_inf > 0 and not out.underflow >= out.zero,
            "{op} got -Inf in {x.neg_inf:,.0f} of {x.size:,.0f} elements, and exp(-Inf) = 0",
            "x.neg_inf",
        ),
        Cause(
            ("exp",),
            lambda x, y, out: x.min < 0,
            "{op} underflowed: its argument goes down to {x.min:.4g} (limit {f.exp_underflow:.4g})",
        ),
        Cause(
            ("cast", "mul", "div", "square"),
            lambda x, y, out: out.underflow > 0,
            "{op} underflowed: {out.underflow:,.0f} of {out.size:,.0f} results are 0 or subnormal in {f.name}",
        ),
        Cause(
            ("sub",),
            lambda x, y, out: out.zero > max(0.0, min(x.zero, y.zero)),
            "{op} subtracted equal numbers in {out.zero:,.0f} of {out.size:,.0f} elements",
        ),
        Cause(
            ("clip",),
            lambda x, y, out: not x.zero >= out.zero,
            "{op} clipped {out.zero:,.0f} of {out.size:,.0f} elements to 0",
        ),
        Cause(
            ("mul",),
            lambda x, y, out: y.zero > 0 and not x.zero > 0,
            "{op} multiplied by 0 in {y.zero:,.0f} of {y.size:,.0f} elements",
            "y.zero",
        ),
        Cause(
            ("mul", "square", "sqrt", "cast", "div", "clip", "neg", "move"),
            lambda x, y, out: x.zero > 0,
            "{op} passed on the 0 of {x.zero:,.0f} elements",
            "x.zero",
        ),
        Cause(
            ("log",),
            lambda x, y, out: x.min <= 1 <= x.max,
            "{op} got exactly 1 in {out.zero:,.0f} of {out.size:,.0f} elements, and log(1) = 0",
        ),
        Cause(("prod",), lambda x, y, out: x.zero > 0, "{op} multiplied in a factor of 0", "x.zero"),
        Cause(("prod",), _always, "{op} multiplied so many factors, down to {x.bottom}, that the product is 0"),
        Cause(("sum", "mean"), lambda x, y, out: x.zero > 0, "{op} added up nothing but 0", "x.zero"),
        Cause(
            ("add",),
            lambda x, y, out: y.size == 1 and y.zero == 1,
            "the epsilon that {op} adds is itself 0 in {f.name}, whose smallest number is {f.min_subnormal:.2g}",
            "x.zero",
        ),
        Cause(("add",), _always, "{op} added up to 0 in {out.zero:,.0f} of {out.size:,.0f} elements", "x.zero"),
    ),
    "negative": (
        Cause(
            ("sub",),
            lambda x, y, out: out.negative > 0,
            "{op} subtracted up to {y.top} from values up to {x.top}; rounding alone can make "
            "a difference of equals negative",
        ),
    ),
    "large": (Cause((), lambda x, y, out: out.max_exp > 4, "{op} reached {out.top} (largest {out.magnitude:.4g})"),),
    "small": (Cause((), _always, "{op} goes down to {out.bottom}"),),
    "low": (Cause((), _always, "{op} goes down to {out.min:.4g}"),),
    "neg_inf": (
        Cause(
            ("select", "add"),
            lambda x, y, out: out.neg_inf > 0,
            "{op} put -Inf into {out.neg_inf:,.0f} of {out.size:,.0f} elements as a mask",
        ),
    ),
}


def causes(graph: OpGraph, table: Row, step: int, slot: int, blame: str) -> tuple[Hop, ...]:
    """Hops from an event's operand to why it held what it held.

    Args:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row in the step.
      step: the step.
      slot: the op with the event.
      blame: its operand and property, as Rule.blame; "" for none.
    """
    hops: list[Hop] = []
    while blame and len(hops) < MAX_CAUSES:
        operand, _, wanted = blame.partition(".")
        slot = _operand(graph, table, slot, operand)
        if slot < 0:
            break
        text, blame = _reason(graph, table, slot, wanted)
        if text:
            hops.append(Hop(slot, step, f"{text}, at {place(graph.sites[slot])}"))
    return tuple(hops)


def _operand(graph: OpGraph, table: Row, slot: int, name: str) -> int:
    """The operand that a cause calls "x", "y" or the "larger" of both."""
    x, y = int(graph.x[slot]), int(graph.y[slot])
    if name == "larger":
        name = "y" if y >= 0 and not _row(table, x).max_exp >= _row(table, y).max_exp else "x"
    return x if name == "x" else y


def _row(table: Row, slot: int) -> OneRow:
    return OneRow(table[slot] if slot >= 0 else None)


def _given(name: str, out: OneRow, wanted: str) -> str:
    """What data, a literal or a variable holds."""
    if wanted == "zero":
        return f"{name} holds 0 in {out.zero:,.0f} of {out.size:,.0f} elements"
    return f"{name} ranges from {out.min:.4g} to {out.max:.4g}" if out.nonzero > 0 else ""


def _reason(graph: OpGraph, table: Row, slot: int, wanted: str) -> tuple[str, str]:
    """Why a slot has a property, and whom to ask next."""
    x, y, out = (_row(table, s) for s in (int(graph.x[slot]), int(graph.y[slot]), slot))
    if not graph.sites[slot].inputs:
        return _given(called(graph, slot), out, wanted), ""
    for cause in _CAUSES.get(wanted, ()):
        if (not cause.families or graph.family(slot) in cause.families) and cause.holds(x, y, out):
            return Ops.of(graph, table, np.array([slot])).explain(cause.text, 0)[0], cause.next
    return "", ""
