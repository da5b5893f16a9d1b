"""What the graph alone says about a value: kept away from 0, able to vanish, thrown away by tf.where.

A pole (1/0, log(0), the slope of sqrt at 0) is only a hazard where nothing keeps its operand away from it.
Guards are recognised by their arithmetic: a positive number added, a clip, a tf.where, a function without
zeros. What cannot be seen (an unmeasured operand, a number given as argument) is taken for a guard, so
that a hazard is named only where its absence is certain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.ops import Role

if TYPE_CHECKING:
    from tb_numstab.analysis.graph import Mask, OpGraph

DEPTH = 12
"""Ops a value is followed back; what lies further is taken for a guard."""

POSITIVE = frozenset(("exp", "hyperbolic", "softplus", "softmax", "sigmoid"))
SIGN_KEEPING = frozenset(
    ("move", "cast", "sqrt", "rsqrt", "sum", "mean", "extremum", "prod", "square", "sum-of-squares", "pow")
)
PASSING = frozenset(("move", "cast", "neg"))
BOUNDED = frozenset(("select", "softmax", "log-softmax", "sigmoid", "tanh"))
SEGMENTS = frozenset(("SegmentSum", "UnsortedSegmentSum"))
"""Sums over groups: one without members is 0, whatever the addends."""

BRANCH = ("mul", "move", "neg", "cast", "add", "sub")
"""What may stand between a pole and the tf.where that throws its result away."""


class Guards:
    """Answers about the slots of one graph."""

    def __init__(self, graph: OpGraph) -> None:
        self.graph = graph

    def family(self, slot: int) -> str:
        """The family of a slot's op type; "" for none, and for slot -1."""
        return self.graph.family(slot) if slot >= 0 else ""

    def x(self, slot: int) -> int:
        """The first float operand of a slot; -1 where there is none, and for slot -1."""
        return int(self.graph.x[slot]) if slot >= 0 else -1

    def y(self, slot: int) -> int:
        """The second float operand of a slot; -1 as for ``x``."""
        return int(self.graph.y[slot]) if slot >= 0 else -1

    def readers(self, slot: int, *families: str) -> list[int]:
        """Slots of these families that read a slot."""
        return [c for c in self.graph.consumers(slot).tolist() if self.graph.family(c) in families]

    def is_number(self, slot: int) -> bool:
        """A literal, or a number given as argument: eager steps hand their literals over like that."""
        site = self.graph.sites[slot]
        return site.role is Role.CONSTANT or (site.role is Role.INPUT and site.shape == ())

    def given(self, slot: int) -> bool:
        """Data, a variable, or a tensor of integers or truth values made floating: anything may be 0."""
        site = self.graph.sites[slot]
        gathered = site.op_type in ("ResourceGather", "ReadVariableOp")
        whole = site.op_type == "Cast" and self.graph.x[slot] < 0 and site.shape != ()
        return site.role in (Role.INPUT, Role.VARIABLE) or gathered or whole

    def number(self, slot: int, column: str) -> float:
        """A column of a literal; NaN when its value is not known."""
        constant = self.graph.sites[slot].constant
        return constant[INDEX[column]] if constant else np.nan

    def _above_zero(self, slot: int) -> bool:
        return slot < 0 or (self.is_number(slot) and not self.number(slot, "min") <= 0)

    def positive(self, slot: int, depth: int = DEPTH) -> bool:
        """Something keeps the value away from 0."""
        if slot < 0 or depth == 0:
            return True
        if self.is_number(slot):
            return self._above_zero(slot)
        if self.given(slot):
            return False
        family, x, y = self.family(slot), self.x(slot), self.y(slot)
        if self.graph.sites[slot].op_type in SEGMENTS:
            return False
        if family in POSITIVE:
            return True
        if family == "add":
            return (
                self._above_zero(x)
                or self._above_zero(y)
                or (self.positive(x, depth - 1) and self.positive(y, depth - 1))
            )
        if family == "sub":
            return x < 0 or (self.is_number(x) and self.below(y, self.number(x, "min")))
        if family == "clip":
            return self._clipped_away(slot, depth)
        if family == "select":
            return self.positive(x, depth - 1) or self.positive(y, depth - 1)
        if family in ("mul", "div"):
            return self.positive(x, depth - 1) and (family == "div" or self.positive(y, depth - 1))
        return family in SIGN_KEEPING and self.positive(x, depth - 1)

    def _clipped_away(self, slot: int, depth: int) -> bool:
        """The clip has a positive lower end, or its operand needs none."""
        op_type, x, y = self.graph.sites[slot].op_type, self.x(slot), self.y(slot)
        if op_type == "Maximum":
            return self.positive(x, depth - 1) or self.positive(y, depth - 1)
        if op_type == "Minimum":
            return self.positive(x, depth - 1) and self.positive(y, depth - 1)
        if op_type == "ClipByValue" and self._above_zero(self._bound(slot, 1)):
            return True
        return x >= 0 and self.positive(x, depth - 1)

    def _bound(self, slot: int, position: int) -> int:
        inputs = self.graph.sites[slot].inputs
        return inputs[position] if position < len(inputs) and inputs[position] < self.graph.size else -1

    def below(self, slot: int, limit: float, depth: int = DEPTH) -> bool:
        """A clip keeps the value below ``limit``; NaN is a limit that is not known."""
        if slot < 0 or depth == 0:
            return True
        if self.is_number(slot):
            return not self.number(slot, "max") >= limit
        op_type, x, y = self.graph.sites[slot].op_type, self.x(slot), self.y(slot)
        if op_type == "Minimum":
            return self.below(x, limit, depth - 1) or self.below(y, limit, depth - 1)
        if op_type == "Maximum":
            return self.below(x, limit, depth - 1) and self.below(y, limit, depth - 1)
        if op_type == "ClipByValue":
            return self.below(self._bound(slot, 2), limit, depth - 1)
        if op_type in ("Select", "SelectV2"):
            return self.below(x, limit, depth - 1) or self.below(y, limit, depth - 1)
        if op_type == "Mul":  # 0.999 * x, as in (1 - eps) * tanh(x)
            return any(s >= 0 and self.is_number(s) and not abs(self.number(s, "max")) >= limit for s in (x, y))
        return self.family(slot) in PASSING and self.below(x, limit, depth - 1)

    def squares(self, slot: int, depth: int = DEPTH) -> bool:
        """Squares or magnitudes: never negative, all 0 when their operand is."""
        if slot < 0 or depth == 0:
            return False
        family, x = self.family(slot), self.x(slot)
        if family in ("move", "cast"):
            return self.squares(x, depth - 1)
        by_itself = family == "mul" and x == self.y(slot)
        return by_itself or family in ("square", "sum-of-squares") or self.graph.sites[slot].op_type == "Abs"

    def vanishing(self, slot: int, depth: int = DEPTH) -> tuple[int, ...] | None:
        """Whether the value is 0 when everything behind it is 0.

        Returns:
          The reductions whose addends must be able to vanish for that; () where squares, a ReLU, a group
          without members, an eigenvalue or a product alone decide it; None where something guards the value,
          or it is not of that kind.
        """
        if slot < 0 or depth == 0 or self.is_number(slot) or self.positive(slot):
            return None
        family, x, y = self.family(slot), self.x(slot), self.y(slot)
        if family in ("sum", "mean"):
            return self._vanishing_sum(slot, x)
        if family == "mul":
            ways = [w for w in (self.vanishing(x, depth - 1), self.vanishing(y, depth - 1)) if w is not None]
            return ways[0] if ways else None
        if family == "add":
            left, right = self.vanishing(x, depth - 1), self.vanishing(y, depth - 1)
            return None if left is None or right is None else left + right
        if self.rectified(slot) or family in ("spectrum", "prod"):
            return ()
        if family in ("move", "cast", "sqrt", "div"):
            return self.vanishing(x, depth - 1)
        return None

    def _vanishing_sum(self, slot: int, addends: int) -> tuple[int, ...] | None:
        """A sum of squares can vanish; a total of all elements hardly will before its root is taken."""
        if self.graph.sites[slot].op_type in SEGMENTS:
            return ()
        if self.squares(addends) or self.rectified(addends):
            return None if self.total(slot) and not self.readers(slot, "sqrt", "rsqrt") else ()
        return None if addends < 0 or self.positive(addends) else (slot,)

    def rectified(self, slot: int, depth: int = DEPTH) -> bool:
        """A ReLU or a clip at 0: non-negative, and 0 as soon as its operand is not positive."""
        if slot < 0 or depth == 0:
            return False
        op_type, x, y = self.graph.sites[slot].op_type, self.x(slot), self.y(slot)
        if op_type in ("Relu", "Relu6"):
            return True
        if op_type == "Maximum":
            return any(s >= 0 and self.is_number(s) and self.number(s, "max") == 0 for s in (x, y))
        return (op_type == "Minimum" or self.family(slot) in ("move", "cast")) and self.rectified(x, depth - 1)

    def total(self, slot: int) -> bool:
        """One number for a whole tensor."""
        shape = self.graph.sites[slot].shape
        return shape is not None and all(d == 1 for d in shape)

    def stabilised(self, slot: int, depth: int = DEPTH) -> bool:
        """The argument of exp is bounded: its maximum is subtracted, or it is clipped or squashed."""
        if slot < 0 or depth == 0:
            return True
        if self.given(slot):
            return False
        family, op_type, x, y = self.family(slot), self.graph.sites[slot].op_type, self.x(slot), self.y(slot)
        if family == "sub" and self.reaches(y, ("extremum",), (*PASSING, "select", "clip")):
            return True
        if family in ("mul", "sub", "add") and x >= 0 and self.is_number(x):
            return self.stabilised(y, depth - 1)
        if family in ("mul", "div", "add", "sub", *PASSING) or op_type == "Maximum":
            return self.stabilised(x, depth - 1)
        return family in BOUNDED or op_type in ("Minimum", "ClipByValue")

    def reaches(self, slot: int, families: tuple[str, ...], through: tuple[str, ...] | frozenset[str]) -> bool:
        """Whether the value is that of an op of these families, but for what lies in ``through``."""
        for _ in range(DEPTH):
            if self.family(slot) in families:
                return True
            if self.family(slot) not in through:
                return False
            slot = self.x(slot)
        return False

    @cached_property
    def differentiated(self) -> Mask:
        """Slots that a gradient is taken through, bool [N]."""
        return self.graph.as_mask(np.array([s.gradient_of for s in self.graph.sites], np.int64))

    @cached_property
    def in_branch(self) -> Mask:
        """Forward slots whose value is a branch of tf.where, but for what lies in BRANCH, bool [N]."""
        graph = self.graph
        chosen = graph.members("select")
        chosen = chosen[graph.role(Role.FORWARD)[chosen]]
        branches = graph.as_mask(np.concatenate([graph.x[chosen], graph.y[chosen]]))
        return graph.feeding(branches, graph.mask(*BRANCH)) & graph.role(Role.FORWARD)


Test = Callable[[Guards, int], bool]
"""A question about one slot that the graph alone answers."""
