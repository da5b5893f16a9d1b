"""What TensorLists hold: behind tf.TensorArray, tf.map_fn and tf.scan, and what gradients of loops fetch from.

A list is no tensor that could be measured. But whoever reads it links to the ops that made its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tb_numstab.instrument.nesting import outermost
from tb_numstab.instrument.op_types import PUTS

MAX_MAKERS = 16
"""Ops that a reader of a list is linked to: a loop that is unrolled may fill one from thousands."""


class TensorLists:
    """The lists of one trace.

    Args:
      slot_of: a tensor's slot, -1 when it has none.
      alias: lets a list answer to ``slot_of`` with the slot of the element put in last.
    """

    def __init__(self, slot_of: Callable[[Any], int], alias: Callable[[Any, int], None]) -> None:
        self._slot_of = slot_of
        self._alias = alias
        self._makers: dict[int, tuple[int, ...]] = {}  # a list's id -> slots of its elements, the last one first

    def put(self, op_type: str, inputs: Sequence[Any], made: Any) -> None:
        """An op has made a list out of an element or a tensor, and mostly another list."""
        position = PUTS[op_type]
        self._hold(made, [self._slot_of(inputs[position]), *(self.makers(inputs[0]) if position else ())])

    def join(self, made: Any, lists: Iterable[Any]) -> None:
        """A call or a loop has made a list that holds what these hold."""
        self._hold(made, [slot for one in lists for slot in self.makers(one)])

    def makers(self, one: Any) -> tuple[int, ...]:
        """Slots of the elements that a list is known to hold, -1 for none."""
        return self._makers.get(outermost(one)._id) or (self._slot_of(one),)

    def _hold(self, made: Any, slots: Iterable[int]) -> None:
        makers = tuple(dict.fromkeys(slot for slot in slots if slot >= 0))[:MAX_MAKERS]
        if makers:
            self._makers[made._id] = makers
            self._alias(made, makers[0])
