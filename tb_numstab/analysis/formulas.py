"""Formulas written out by hand for which TensorFlow has an op that is safe: what they look like in the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.guards import DEPTH, Guards
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import computed

WIDE = 0.125
"""Share of ln(max) that arguments of exp must have reached before a missing maximum matters."""

EVERYDAY = 2.0**-7
"""Literals from here on are terms of a formula; smaller ones are epsilons."""


def _exp_behind(g: Guards, slot: int, through: tuple[str, ...]) -> int:
    """The unbounded Exp a value comes from, -1 when there is none."""
    for _ in range(DEPTH):
        family, x, y = g.family(slot), g.x(slot), g.y(slot)
        if family == "exp":
            return -1 if g.stabilised(x) else slot
        if family not in through:
            return -1
        slot = y if family in ("mul", "add") and (x < 0 or not _leads_to_exp(g, x)) else x
    return -1


def _leads_to_exp(g: Guards, slot: int) -> bool:
    return g.reaches(slot, ("exp",), ("mul", "div", "move", "cast", "sum", "mean"))


def softmax_by_hand(g: Guards, slot: int) -> bool:
    """The quotient: exp(z) divided by a sum of the same exp(z), the maximum not subtracted."""
    above = _exp_behind(g, g.x(slot), ("move", "cast", "mul"))
    return (
        computed(g, slot) and above >= 0 and above == _exp_behind(g, g.y(slot), ("sum", "mean", "move", "cast", "add"))
    )


def log_of_exponentials(g: Guards, slot: int) -> bool:
    """Log of a sum or mean of exponentials."""
    return _exp_below(g, slot) >= 0


def of_masked_exponentials(o: Ops) -> Mask:
    """Log of a sum of exponentials of -Inf, among other values or nothing else."""
    rows, exps = Columns(o.table), [_exp_below(o.graph.guards, int(s)) for s in o.slots]
    return np.array([e >= 0 and rows.neg_inf[o.graph.x[e]] > 0 for e in exps], bool)


def _exp_below(g: Guards, slot: int) -> int:
    """The Exp whose results a Log takes, summed or averaged; -1 when there is none."""
    slot = g.x(slot)
    for _ in range(DEPTH):
        if g.family(slot) == "exp":
            return slot
        if g.family(slot) not in ("sum", "mean", "move", "cast", "mul", "div"):
            return -1
        slot = g.x(slot)
    return -1


def log_of_softmax(g: Guards, slot: int) -> bool:
    """Log of what Softmax gave, or the quotient exp(z) / sum(exp(z))."""
    x = g.x(slot)
    return g.reaches(x, ("softmax",), ("move", "cast", "clip", "select")) or _is_share_of_exponentials(g, x)


def log_of_sigmoid(g: Guards, slot: int) -> bool:
    """Log of what Sigmoid gave, or of 1 minus it."""
    x = g.x(slot)
    x = g.y(x) if g.family(x) == "sub" else x
    return g.reaches(x, ("sigmoid",), ("move", "cast", "clip", "select"))


def _is_share_of_exponentials(g: Guards, slot: int) -> bool:
    """exp(z) / sum(exp(z)), the maximum subtracted or not."""
    return (
        g.family(slot) == "div"
        and g.reaches(g.x(slot), ("exp",), ("move", "cast"))
        and g.reaches(g.y(slot), ("sum",), ("move", "cast", "add"))
    )


def log_of_1_minus_exp(g: Guards, slot: int) -> bool:
    """Log of 1 - exp(x)."""
    x = g.x(slot)
    return g.family(x) == "sub" and g.reaches(g.y(x), ("exp",), ("move", "cast", "clip"))


def times_own_argument(g: Guards, slot: int) -> bool:
    """The product x * log(x)."""
    own = {g.x(slot), slot}
    return any({g.x(product), g.y(product)} == own for product in g.readers(slot, "mul"))


def sigmoid_by_hand(g: Guards, slot: int) -> bool:
    """The quotient a exp(x) / (1 + exp(x)), or a / (1 + exp(x)); either exp(x) may be computed anew."""
    totals = [total for total in g.readers(slot, "add") if _adds_to_one(g, total)]
    parts = (slot, *g.readers(slot, "mul"), *totals)
    below = [g.y(quotient) for part in parts for quotient in g.readers(part, "div")]
    return any(total in totals or (_adds_to_one(g, total) and _adds_exp(g, total)) for total in below)


def _adds_exp(g: Guards, slot: int) -> bool:
    return "exp" in (g.family(g.x(slot)), g.family(g.y(slot)))


def softplus_by_hand(g: Guards, slot: int) -> bool:
    """The logarithm log(1 + exp(x))."""
    totals = [total for total in g.readers(slot, "add") if _adds_to_one(g, total)]
    return any(g.readers(total, "log") for total in totals)


def logsumexp_by_hand(g: Guards, slot: int) -> bool:
    """Log of a sum with exp(z) in it: log(sum(exp(z))), log(1 + exp(z)), log of a mixture of densities."""
    x = g.x(slot)
    sums = g.reaches(x, ("sum", "mean"), ("move", "cast")) or _adds_to_one(g, x)
    return computed(g, slot) and sums and _exp_behind(g, x, ("sum", "mean", "move", "cast", "add", "mul", "div")) >= 0


def _adds_to_one(g: Guards, slot: int) -> bool:
    """A literal of everyday size is added, as in log(1 + exp(z)); an epsilon is none."""
    literals = [s for s in (g.x(slot), g.y(slot)) if s >= 0 and g.is_number(s)]
    return g.family(slot) == "add" and any(g.number(s, "max") >= EVERYDAY for s in literals)


def _wide_exponents(o: Ops) -> Mask:
    """Bool [N]: Exp ops whose arguments have gone beyond WIDE of ln(max), in either direction."""
    exps = Ops.of(o.graph, o.table, o.graph.members("exp"))
    return o.graph.as_mask(exps.slots[exps.x.magnitude > WIDE * exps.exp_overflow])


def wide_exp_behind(*through: str) -> Callable[[Ops], Mask]:
    """Of hand-written formulas: the arguments of their Exp, behind ops of these families, are large."""

    def when(o: Ops) -> Mask:
        wide = _wide_exponents(o)
        return np.array([wide[_exp_behind(o.graph.guards, int(x), through)] for x in o.x_slots], bool)

    return when
