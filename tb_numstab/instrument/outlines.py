"""Loops that TensorFlow vectorizes, as in tf.vectorized_map and jacobian.

The body is traced once and never runs; ops that do all of its runs at once are made from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tb_numstab.schema.ops import OpSite


class Outlines:
    """The bodies of vectorized loops: not measured, but what runs instead of them gets their lines and roles.

    Args:
      sites: the op table, by slot.
      slot_of: a tensor's slot, -1 when it has none.
    """

    def __init__(self, sites: Sequence[OpSite], slot_of: Callable[[Any], int]) -> None:
        self._sites = sites
        self._slot_of = slot_of
        self._open: list[bool] = []  # for each loop around the op being traced: whether this is its body
        self._measures: dict[int, Callable[[], None]] = {}  # slot in a body -> measures it after all
        self._runs_as: dict[int, int] = {}  # slot in a body -> slot of the op that runs instead

    @contextmanager
    def loop(self) -> Iterator[None]:
        """A loop is vectorized inside the block: first its body is traced, then, after ``vectorize``, what runs."""
        self._open.append(True)
        try:
            yield
        finally:
            self._open.pop()

    def vectorize(self) -> None:
        """The body of the innermost loop is complete."""
        if self._open:
            self._open[-1] = False

    def measure(self, slot: int, how: Callable[[], None]) -> None:
        """Measures a new slot: now, or never if it belongs to a body, unless something that runs needs it."""
        if any(self._open):
            self._measures[slot] = how
            return
        self._use(self._sites[slot].inputs)
        how()

    def _use(self, slots: Iterable[int]) -> None:
        """Measures what all runs of a loop have in common: that is not vectorized."""
        for slot in slots:
            how = self._measures.pop(slot, None)
            if how is not None:
                self._use(self._sites[slot].inputs)
                how()

    def origin(self, op: Any) -> int:
        """The slot of the op in a body that ``op`` runs instead of; -1 for any other op."""
        outputs = op._original_op.outputs if op._original_op is not None else ()
        slot = self._slot_of(outputs[0]) if outputs else -1
        return slot if slot in self._measures else -1

    def runs_as(self, origin: int, slot: int) -> None:
        """Notes the slot that runs instead of one in a body."""
        if origin >= 0:
            self._runs_as[origin] = slot

    def place(self, origin: int, site: OpSite) -> OpSite:
        """The site of an op with what it has from the op that it runs instead of."""
        if origin < 0:
            return site
        body = self._sites[origin]
        forward = self._runs_as.get(body.gradient_of, body.gradient_of)
        return dataclasses.replace(site, role=body.role, gradient_of=forward, frames=body.frames, layer=body.layer)
