"""Where the first NaN or Inf that does harm began.

Not every NaN is a fault: a mask holds -Inf on purpose, tf.where throws NaN away, a loss scale backs
off after Inf gradients. So the search runs backwards. It starts at symptoms, which nobody wants: a
variable left NaN or Inf by its update, a returned NaN, a returned scalar Inf. From there it follows
non-finite inputs to candidates, ops that made NaN or Inf out of operands that had none. Mostly one
candidate lies behind every symptom; of several the one that did most harm is taken, then the earliest
in execution order.

Inside a loop body the links end at loop-carried values, and lists may hold more than their readers are
linked to. A candidate with such an unmeasured operand may only have passed the value on; then every
earlier non-finite slot that can have reached it unseen joins the search.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tb_numstab.analysis.columns import Columns
from tb_numstab.analysis.families import operand_positions
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.analysis.inputs import Inputs, inputs_of
from tb_numstab.schema.columns import INDEX, Row
from tb_numstab.schema.ops import Role

MULTIPLYING = ("matmul", "conv", "square", "sum-of-squares")
"""Families that a mask is not given to: they make NaN or further infinities of -Inf."""

MAX_CANDIDATES = 64
"""Earliest candidates that are compared by the harm they did."""

MAX_UNSEEN = 1 << 18
"""Unrecorded links that a search follows: a loop of some hundred ops needs a tenth, nonsense has no end of them."""


class Source(Enum):
    """What the first non-finite value came out of."""

    OP = "op"
    INPUT = "input"  # the user's data held it
    VARIABLE = "variable"  # the variable was non-finite before the step
    WORKER = "worker"  # another worker sent it


@dataclass(frozen=True)
class Origin:
    """The origin of a session's first harmful non-finite value.

    Attributes:
      step: the step it was found in.
      slot: where it began.
      source: what that slot is.
      chain: slots from the origin to the symptom nearest to it, both included.
      symptoms: the slots with a symptom in that step, of the gravest kind there is.
    """

    step: int
    slot: int
    source: Source
    chain: tuple[int, ...]
    symptoms: tuple[int, ...]


def find_origin(graph: OpGraph, table: Row, step: int, symptoms: tuple[int, ...] | None = None) -> Origin | None:
    """The origin of the non-finite values of one step, or None when none does harm.

    Args:
      graph: the op table.
      table: float64 [N, WIDTH], every slot's row in the step.
      step: the step.
      symptoms: the non-finite slots to go back from, where they are not those that do harm.
    """
    search = _Search(graph, table)
    symptoms = search.symptoms() if symptoms is None else symptoms
    if not symptoms:
        return None
    search.walk(symptoms)
    slot = search.origin()
    return Origin(step, slot, _source(graph, slot), search.chain(slot), symptoms)


def _source(graph: OpGraph, slot: int) -> Source:
    given = {Role.INPUT: Source.INPUT, Role.VARIABLE: Source.VARIABLE}.get(graph.sites[slot].role)
    return given or (Source.WORKER if graph.family(slot) == "collective" else Source.OP)


def has_symptoms(graph: OpGraph, table: Row) -> bool:
    """Whether anything non-finite does harm in one step."""
    rows = Columns(table)
    if not ((rows.nan > 0) | (rows.inf > 0)).any():
        return False
    return bool(_Search(graph, table).symptoms())


def intended(graph: OpGraph, table: Row) -> Mask:
    """Slots that hold Inf, or in a literal NaN, on purpose, bool [N].

    Literals; logits masked with a literal -Inf; masks of -Inf given as arguments, unless they go into a
    matrix product or the like; variables that are not trained and hold Inf, such as the best loss so far.
    """
    rows = Columns(table)
    only_inf = ~(rows.nan > 0)
    given = graph.role(Role.INPUT) & ~graph.as_mask(graph.edge_target)  # not made by another part of the step
    multiplied = graph.as_mask(graph.edge_source[graph.mask(*MULTIPLYING)[graph.edge_target]])
    mask_input = given & only_inf & ~(rows.pos_inf > 0) & ~graph.feeding(multiplied, graph.mask("move", "cast"))
    state = graph.role(Role.VARIABLE) & only_inf & ~graph.trainable
    return graph.role(Role.CONSTANT) | mask_input | state | _masked_logits(graph, rows)


def _masked_logits(graph: OpGraph, rows: Columns) -> Mask:
    """Slots that only hand a literal -Inf on to a softmax, bool [N].

    A softmax makes an exact 0 of -Inf; anything else that gets one is to be told where it came from.
    """
    nonfinite = (rows.nan > 0) | (rows.inf > 0)
    only_negative = (rows.neg_inf > 0) & ~(rows.nan > 0) & ~(rows.pos_inf > 0)
    hands_on = graph.mask("select", "cast", "move", "add", "sub") & only_negative & ~(rows.overflow > 0)
    hands_on &= ~graph.looped & ~graph.returned  # links of a loop body may not show every source
    from_literal = graph.role(Role.CONSTANT) & only_negative
    for slot in np.flatnonzero(hands_on).tolist():
        sources = [i for i in graph.inputs(slot) if nonfinite[i]]
        from_literal[slot] = bool(sources) and all(from_literal[i] for i in sources)
    handed_on = from_literal & hands_on
    softmax = graph.mask("softmax", "log-softmax", "cross-entropy")
    return handed_on & graph.feeding(softmax, handed_on | softmax)


def _state(graph: OpGraph, rows: Columns) -> Mask:
    """Slots that only hand on the NaN of a variable that is not trained, or keep it, bool [N].

    Such a variable may mark with NaN what is not filled in yet; it does harm where arithmetic meets it.
    """
    nan = rows.nan > 0
    held = graph.role(Role.VARIABLE) & ~graph.trainable & nan
    old, change = Columns.of(rows.rows, graph.x), Columns.of(rows.rows, graph.y)
    unknown = np.isnan(old.nan) & (change.nan + change.inf == 0)  # a finite change makes no NaN
    kept = graph.role(Role.UPDATE) & ~graph.trainable & nan & ((rows.nan <= old.nan) | unknown)
    return graph.carrying(held | kept, graph.mask("move") & nan)


_COMPARED = [INDEX[name] for name in ("size", "nan", "pos_inf", "neg_inf", "zero", "min", "max")]


def _same_values(a: Row, b: Row) -> bool:
    """Two rows that may well be of one tensor."""
    return bool(np.array_equal(a[_COMPARED], b[_COMPARED], equal_nan=True))


class _Search:
    """One step's search: what is non-finite, what made it, what has been visited."""

    def __init__(self, graph: OpGraph, table: Row) -> None:
        self.graph = graph
        rows, inputs = Columns(table), inputs_of(graph, table)
        self.nan: Mask = rows.nan > 0
        self.bad: Mask = (self.nan | (rows.inf > 0)) & ~intended(graph, table)
        self.state = _state(graph, rows)
        self.handed_on = self._handed_on(rows)
        # A variable that another function of the same step has updated before carries on from there.
        leaf = graph.role(Role.INPUT, Role.VARIABLE) & ~inputs.nonfinite
        begins = (leaf | self._made(rows, inputs)) & ~graph.as_mask(self.handed_on)
        self.candidate: Mask = self.bad & begins
        self.first_call = np.where(np.isnan(rows.first_bad_call), 0.0, rows.first_bad_call)
        self.passed_on = self.candidate & ~leaf & ~(rows.overflow > 0) & ~inputs.nonfinite & self._unmeasured_operand()
        self.unseen_left = MAX_UNSEEN
        self.toward: dict[int, int] = {}  # slot -> the slot after it on the shortest way to a symptom
        self.reached: defaultdict[int, list[int]] = defaultdict(list)  # slot -> every slot it made non-finite

    def _made(self, rows: Columns, inputs: Inputs) -> Mask:
        """Slots with a NaN or an Inf that no measured input held, bool [N]."""
        graph, inf = self.graph, rows.inf > 0
        made = (self.nan & ~inputs.nan) | (inf & ~inputs.inf) | (rows.overflow > 0)
        # Logits may be masked with -Inf on purpose: where that meets a label, the loss is Inf.
        given_bad = graph.as_mask(graph.edge_target[self.bad[graph.edge_source]])
        return np.asarray(made | (inf & graph.mask("cross-entropy") & ~given_bad))

    def _handed_on(self, rows: Columns) -> dict[int, int]:
        """Non-finite arguments that are an earlier function's result: argument slot -> returned slot.

        The step may call several functions; what one returns and the next is given has one shape and one row.
        """
        graph, table = self.graph, rows.rows
        returned = np.flatnonzero(self.bad & graph.returned)
        links: dict[int, int] = {}
        for slot in np.flatnonzero(self.bad & graph.role(Role.INPUT)).tolist():
            site = graph.sites[slot]
            for source in returned[returned < slot][::-1].tolist():
                made = graph.sites[source]
                if made.dtype == site.dtype and _same_values(table[source], table[slot]):
                    links[slot] = source
                    break
        return links

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

    def symptoms(self) -> tuple[int, ...]:
        """Slots that hold harm: trained variables if any went bad, else returned values and other variables."""
        graph = self.graph
        harmful = self.bad & ~self.state
        updates = harmful & graph.role(Role.UPDATE) & (self.nan | graph.trainable)
        returned = harmful & graph.returned & (self.nan | graph.scalar) & ~graph.role(Role.UPDATE)
        if graph.role(Role.UPDATE).any():
            # Returned gradients and their norm are no harm by themselves: a loss scale may have dropped them.
            returned &= ~graph.role(Role.GRADIENT, Role.OPTIMIZER)
        trained = updates & graph.trainable
        return tuple(np.flatnonzero(trained if trained.any() else updates | returned).tolist())

    def walk(self, symptoms: Iterable[int]) -> None:
        """Visits everything non-finite that these symptoms may come from, the nearest first."""
        queue = deque(symptoms)
        self.toward = {slot: slot for slot in queue}
        while queue:
            slot = queue.popleft()
            for source in self._sources(slot):
                self.reached[source].append(slot)
                if source not in self.toward:
                    self.toward[source] = slot
                    queue.append(source)

    def _sources(self, slot: int) -> Iterator[int]:
        """Non-finite slots that the value of ``slot`` may come from."""
        for source in self.graph.inputs(slot):
            if self.bad[source] and self._before(int(source), slot):
                yield int(source)
        if slot in self.handed_on:
            yield self.handed_on[slot]
        if self.passed_on[slot]:
            yield from self._unseen_sources(slot)

    def _unseen_sources(self, slot: int) -> Iterator[int]:
        """Earlier non-finite slots whose value may have reached ``slot`` over unrecorded links.

        What computes in a loop body gets such values from an earlier iteration. What only moves values
        may get them out of a list, where any loop body has put them, or a slot without a recorded
        consumer.
        """
        graph = self.graph
        if not self.unseen_left:
            return
        if self._only_moves(slot):
            unseen = graph.looped | ~graph.as_mask(graph.edge_source)
        elif graph.looped[slot]:
            unseen = graph.loop == graph.loop[slot]
        else:
            return
        found = np.flatnonzero(unseen & self.bad & ~graph.role(Role.UPDATE) & self._earlier(slot))[: self.unseen_left]
        self.unseen_left -= len(found)
        yield from found.tolist()

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

    def _earlier(self, slot: int) -> Mask:
        """Slots whose ``_order`` is below that of ``slot``, bool [N]."""
        loop = self.graph.loop
        slots, alone = np.arange(self.graph.size), loop < 0
        keys = np.where(alone, slots, loop), np.where(alone, 0.0, self.first_call), slots
        below, same = np.zeros(self.graph.size, bool), np.ones(self.graph.size, bool)
        for key, own in zip(keys, self._order(slot), strict=True):
            below |= same & (key < own)
            same &= key == own
        return below

    def origin(self) -> int:
        """The visited candidate that reaches most symptoms; of several, the earliest.

        One that computed the value goes before one that only moved it, or received it from elsewhere.
        """
        visited = list(self.toward)
        candidates = [s for s in visited if self.candidate[s]]
        received = self.graph.mask("collective")
        made = [s for s in candidates if not (received[s] or (self.passed_on[s] and self._only_moves(s)))]
        ordered = sorted(made or candidates or visited, key=lambda s: self._order(self._forward_of(s)))
        reach = {s: self._reach(s) for s in ordered[:MAX_CANDIDATES]}
        harm = {s: sum(self.toward[t] == t for t in reach[s]) for s in reach}
        chosen = max(reach, key=lambda s: harm[s])  # max takes the first of equals
        # The ops of a function have slots in a row, also where an eager step ran others between them.
        causes = [s for s in reach if harm[s] == harm[chosen] and chosen in reach[s] and s not in reach[chosen]]
        chosen = next((s for s in causes if not any(s in reach[c] for c in causes if c != s)), chosen)
        forward = self._forward_of(chosen)
        if forward != chosen:
            self.toward.setdefault(forward, chosen)
        return forward

    def _reach(self, slot: int) -> set[int]:
        """Where a slot's value has come, among what was visited; the slot itself included."""
        queue, seen = deque([slot]), {slot}
        while queue:
            for target in self.reached[queue.popleft()]:
                if target not in seen:
                    seen.add(target)
                    queue.append(target)
        return seen

    def _forward_of(self, slot: int) -> int:
        """The forward op whose own NaN or Inf has the same cause as that of its gradient, ``slot``.

        The gradient of log(0) is 1/0: it needs no -Inf from the forward pass, but that came first.
        """
        forward = self.graph.sites[slot].gradient_of
        if self.graph.sites[slot].role is not Role.GRADIENT or forward < 0 or not self.candidate[forward]:
            return slot
        return forward

    def _only_moves(self, slot: int) -> bool:
        return self.graph.family(slot) in ("move", "control")

    def chain(self, slot: int) -> tuple[int, ...]:
        """Slots from ``slot`` to its symptom."""
        chain = [slot]
        while self.toward[chain[-1]] != chain[-1]:
            chain.append(self.toward[chain[-1]])
        return tuple(chain)
