"""Where the first NaN or Inf that does harm began.

Not every NaN is a fault: a mask holds -Inf on purpose, tf.where throws NaN away, a loss scale backs
off after Inf gradients. So the search runs backwards. It starts at symptoms, which nobody wants: a
variable left NaN or Inf by its update, a returned NaN, a returned scalar Inf. From there it follows
non-finite inputs to candidates, ops that made NaN or Inf out of operands that had none, and takes
the earliest candidate in execution order.

Inside a loop body the links end at loop-carried values, and gradients of loops fetch forward values
from lists. A candidate with such an unmeasured operand may only have passed the value on; then every
earlier non-finite slot that can have reached it unseen joins the search.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.events import inputs_of
from tb_numstab.analysis.families import operand_positions
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import Role


class Source(Enum):
    """What the first non-finite value came out of."""

    OP = "op"
    INPUT = "input"  # the user's data held it
    VARIABLE = "variable"  # the variable was non-finite before the step


@dataclass(frozen=True)
class Origin:
    """The origin of a session's first harmful non-finite value.

    Attributes:
      step: the step it was found in.
      slot: where it began.
      source: what that slot is.
      chain: slots from the origin to the symptom nearest to it, both included.
      symptoms: every slot with a symptom in that step, weights and scalar results first.
    """

    step: int
    slot: int
    source: Source
    chain: tuple[int, ...]
    symptoms: tuple[int, ...]


def find_origin(graph: OpGraph, table: Row, step: int) -> Origin | None:
    """The origin of the non-finite values of one step, or None when none does harm."""
    search = _Search(graph, table)
    known, others = search.symptoms()
    if not known and not others:
        return None
    search.walk(known)
    search.walk(others)
    slot = search.earliest()
    if graph.sites[slot].role is Role.INPUT:
        source = Source.INPUT
    else:
        source = Source.VARIABLE if graph.sites[slot].role is Role.VARIABLE else Source.OP
    return Origin(step, slot, source, search.chain(slot), (*known, *others))


def has_symptoms(graph: OpGraph, table: Row) -> bool:
    """Whether anything non-finite does harm in one step."""
    rows = Columns(table)
    if not ((rows.nan > 0) | (rows.inf > 0)).any():
        return False
    return any(_Search(graph, table).symptoms())


def intended(graph: OpGraph, table: Row) -> Mask:
    """Slots that hold Inf, or in a literal NaN, on purpose, bool [N].

    Literals; masks of -Inf given as arguments; variables that are not trained and hold Inf, such as
    the best loss so far.
    """
    rows = Columns(table)
    only_inf = ~(rows.nan > 0)
    mask_input = graph.role(Role.INPUT) & only_inf & ~(rows.pos_inf > 0)
    state = graph.role(Role.VARIABLE) & only_inf & ~graph.trainable
    return graph.role(Role.CONSTANT) | mask_input | state


class _Search:
    """One step's search: what is non-finite, what made it, what has been visited."""

    def __init__(self, graph: OpGraph, table: Row) -> None:
        self.graph = graph
        rows = Columns(table)
        nan, inf = rows.nan > 0, rows.inf > 0
        self.nan, self.inf = nan, inf
        self.bad: Mask = (nan | inf) & ~intended(graph, table)
        inputs = inputs_of(graph, table)
        leaf = graph.role(Role.INPUT, Role.VARIABLE)
        made = (nan & ~inputs.nan) | (inf & ~inputs.inf) | (rows.overflow > 0)
        self.candidate: Mask = self.bad & (leaf | made)
        self.first_call = np.where(np.isnan(rows.first_bad_call), 0.0, rows.first_bad_call)
        self.passed_on = self.candidate & ~leaf & ~(rows.overflow > 0) & ~inputs.nonfinite & self._unmeasured_operand()
        self.toward: dict[int, int] = {}  # slot -> the slot after it on the way to a symptom

    def _unmeasured_operand(self) -> Mask:
        """Slots that may have received what is not finite over a link that was not recorded."""
        graph = self.graph
        moves = graph.mask("move", "control")
        unknown = np.zeros(graph.size, bool)
        for slot in np.flatnonzero(self.candidate):
            site = graph.sites[slot]
            operands = [site.inputs[p] for p in operand_positions(site.op_type) if p < len(site.inputs)]
            # In a loop body a recorded link may lead to a value's start, not to what came round again.
            unknown[slot] = bool(moves[slot]) or site.looped or all(i < 0 for i in operands)
        return unknown

    def symptoms(self) -> tuple[list[int], list[int]]:
        """Slots that hold harm: first weights and scalar results, which a reader knows, then the others."""
        graph = self.graph
        updates = self.bad & graph.role(Role.UPDATE) & (self.nan | graph.trainable)
        scalar = np.array([s.shape == () for s in graph.sites], bool)
        returned = self.bad & graph.returned & (self.nan | scalar) & ~graph.role(Role.UPDATE)
        if graph.role(Role.UPDATE).any():
            # Returned gradients are no harm by themselves: a loss scale may be about to drop them.
            returned &= ~graph.role(Role.GRADIENT)
        known = (updates & graph.trainable) | (returned & scalar)
        return np.flatnonzero(known).tolist(), np.flatnonzero((updates | returned) & ~known).tolist()

    def walk(self, symptoms: Iterable[int]) -> None:
        """Visits everything non-finite that these symptoms may come from, the nearest first."""
        queue = deque(s for s in symptoms if s not in self.toward)
        self.toward |= {slot: slot for slot in queue}
        while queue:
            slot = queue.popleft()
            for source in self._sources(slot):
                if source not in self.toward:
                    self.toward[source] = slot
                    queue.append(source)

    def _sources(self, slot: int) -> Iterator[int]:
        """Non-finite slots that the value of ``slot`` may come from."""
        for source in self.graph.inputs(slot):
            if self.bad[source] and self._before(int(source), slot):
                yield int(source)
        if self.passed_on[slot]:
            yield from self._unseen_sources(slot)

    def _unseen_sources(self, slot: int) -> Iterator[int]:
        """Earlier non-finite slots whose value may have reached ``slot`` over unrecorded links.

        A slot all of whose recorded consumers are finite was thrown away and cannot have.
        """
        graph = self.graph
        for source in np.flatnonzero(self.bad & ~graph.role(Role.UPDATE)):
            consumers = graph.consumers(int(source))
            escapes = graph.looped[source] or not len(consumers)
            if source != slot and escapes and self._order(int(source)) < self._order(slot):
                yield int(source)

    def _before(self, source: int, target: int) -> bool:
        """False when source and target run in one loop and source went bad in a later iteration."""
        loop = self.graph.loop
        if loop[source] < 0 or loop[source] != loop[target]:
            return True
        return bool(self.first_call[source] <= self.first_call[target])

    def _order(self, slot: int) -> tuple[int, float, int]:
        """Sorts slots by execution: slot order, but iterations first within one loop body."""
        loop = int(self.graph.loop[slot])
        return (slot, 0.0, slot) if loop < 0 else (loop, float(self.first_call[slot]), slot)

    def earliest(self) -> int:
        """The earliest visited candidate; one that computed the value before one that only moved it."""
        visited = list(self.toward)
        candidates = [s for s in visited if self.candidate[s]]
        made = [s for s in candidates if not (self.passed_on[s] and self._only_moves(s))]
        return min(made or candidates or visited, key=self._order)

    def _only_moves(self, slot: int) -> bool:
        return self.graph.family(slot) in ("move", "control")

    def chain(self, slot: int) -> tuple[int, ...]:
        """Slots from ``slot`` to its symptom."""
        chain = [slot]
        while self.toward[chain[-1]] != chain[-1]:
            chain.append(self.toward[chain[-1]])
        return tuple(chain)
