"""The op table as arrays, so that one record is judged in a handful of numpy calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from tb_numstab.analysis.families import family_of, operand_positions
from tb_numstab.analysis.guards import Guards
from tb_numstab.schema.columns import WIDTH, Row
from tb_numstab.schema.formats import FORMATS, FloatFormat
from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.schema.record import StepRecord

Mask = NDArray[np.bool_]
Slots = NDArray[np.int64]

MAX_LINKS = 4
"""Slots a value may pass and still count as the same value: clips, guards, masks."""

MAX_REMEMBERED = 32
"""Answers of OpGraph.feeding and of OpGraph.carrying that are kept."""


class OpGraph:
    """What the op table says about every slot, and how the slots are linked.

    Attributes:
      sites: the op table.
      x, y: int64 [N], slots of the first and second float operand; -1 where there is none.
      edge_source, edge_target: int64 [E], one entry per measured input of a slot.
      input_start: int64 [N + 1], where each slot's inputs lie in edge_source.
      precision, max_exp, min_exp: float64 [N], parameters of the slot's format; NaN for an unknown one.
      looped, returned, trainable: bool [N], as in OpSite.
      scalar, matrix: bool [N], slots of rank 0, and of rank 2 or more.
    """

    def __init__(self, sites: Sequence[OpSite]) -> None:
        self.sites = tuple(sites)
        self.size = len(self.sites)
        inputs = [[i for i in site.inputs if 0 <= i < self.size] for site in self.sites]
        counts = np.array([len(links) for links in inputs], np.int64)
        self.input_start: Slots = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.edge_source: Slots = np.array([i for links in inputs for i in links], np.int64)
        self.edge_target: Slots = np.repeat(np.arange(self.size), counts)
        self.x, self.y = self._operands()
        self.looped: Mask = np.array([s.looped for s in self.sites], bool)
        self.returned: Mask = np.array([s.returned for s in self.sites], bool)
        self.trainable: Mask = np.array([s.trainable for s in self.sites], bool)
        self.scalar: Mask = np.array([s.shape == () for s in self.sites], bool)
        self.matrix: Mask = np.array([s.shape is not None and len(s.shape) >= 2 for s in self.sites], bool)
        formats = [FORMATS.get(s.dtype) for s in self.sites]
        self.precision = _parameter(formats, "precision")
        self.max_exp = _parameter(formats, "max_exp")
        self.min_exp = _parameter(formats, "min_exp")
        self._families = [family_of(s.op_type) for s in self.sites]
        self._members: dict[tuple[str, ...], Slots] = {}
        self._masks: dict[tuple[str, ...], Mask] = {}
        self._role_masks: dict[tuple[Role, ...], Mask] = {}
        # Rules ask for the same ways at every record; most of them depend on the op table alone.
        self._fed = lru_cache(MAX_REMEMBERED)(self._feeding)
        self._carried = lru_cache(MAX_REMEMBERED)(self._carrying)

    def _operands(self) -> tuple[Slots, Slots]:
        """The x and y operand of every slot."""
        operands = np.full((2, self.size), -1, np.int64)
        for slot, site in enumerate(self.sites):
            for k, position in enumerate(operand_positions(site.op_type)[:2]):
                if position < len(site.inputs) and site.inputs[position] < self.size:
                    operands[k, slot] = site.inputs[position]
        return operands[0], operands[1]

    def family(self, slot: int) -> str:
        """The family of a slot's op type; "" for none."""
        return self._families[slot]

    def members(self, *families: str) -> Slots:
        """Ascending slots of these families; every slot when none is named."""
        if families not in self._members:
            wanted = set(families)
            found = [i for i, f in enumerate(self._families) if not wanted or f in wanted]
            self._members[families] = np.array(found, np.int64)
        return self._members[families]

    def mask(self, *families: str) -> Mask:
        """Bool [N], true for the slots of these families."""
        if families not in self._masks:
            self._masks[families] = _read_only(self.as_mask(self.members(*families)))
        return self._masks[families]

    def as_mask(self, slots: Iterable[int] | Slots) -> Mask:
        """Bool [N], true for these slots; -1 is ignored."""
        mask = np.zeros(self.size, bool)
        chosen = np.asarray(list(slots) if not isinstance(slots, np.ndarray) else slots, np.int64)
        mask[chosen[chosen >= 0]] = True
        return mask

    def role(self, *roles: Role) -> Mask:
        """Bool [N], true for the slots with one of these roles."""
        if roles not in self._role_masks:
            self._role_masks[roles] = _read_only(np.isin(self._roles, [_ROLE_NUMBER[r] for r in roles]))
        return self._role_masks[roles]

    @cached_property
    def _roles(self) -> NDArray[np.int64]:
        return np.array([_ROLE_NUMBER[s.role] for s in self.sites], np.int64)

    def of_type(self, *op_types: str) -> Mask:
        """Bool [N], true for the slots of these op types."""
        return np.array([s.op_type in op_types for s in self.sites], bool)

    def in_format(self, name: str) -> Mask:
        """Bool [N], true for the slots of this dtype."""
        return np.asarray(self._dtypes == name)

    @cached_property
    def _dtypes(self) -> NDArray[np.str_]:
        return np.array([s.dtype for s in self.sites], np.str_)

    @cached_property
    def loop(self) -> NDArray[np.int64]:
        """int64 [N]: the first slot of the loop body a looped slot belongs to, else -1."""
        first: dict[str, int] = {}
        return np.array(
            [first.setdefault(s.graph, slot) if s.looped else -1 for slot, s in enumerate(self.sites)], np.int64
        )

    @cached_property
    def _by_source(self) -> tuple[Slots, Slots]:
        """Edge targets ordered by source, and where each source's run of them starts."""
        order = np.argsort(self.edge_source, kind="stable")
        counts = np.bincount(self.edge_source, minlength=self.size)
        return self.edge_target[order], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def inputs(self, slot: int) -> Slots:
        """Measured inputs of a slot."""
        return self.edge_source[self.input_start[slot] : self.input_start[slot + 1]]

    def which_on_line(self, slot: int) -> str:
        """Which of several ops of one type on one source line a slot belongs to, in words; "" for the only one."""
        site = self.sites[slot]
        scopes = self._namesakes.get(_line_and_type(site), {})
        if site.source is None or len(scopes) < 2:
            return ""
        scope = scopes[site.name]
        if scope and list(scopes.values()).count(scope) == 1:
            return f"in {scope}"
        return f"the {ordinal(list(scopes).index(site.name) + 1)} on its line"

    @cached_property
    def _namesakes(self) -> dict[object, dict[str, str]]:
        """Scopes of the ops that share type, role and source line within one graph, by name, in execution order."""
        found: defaultdict[object, dict[str, str]] = defaultdict(dict)
        for site in self.sites:
            scope = site.name.rpartition("/")[0] if site.role is Role.FORWARD else ""
            found[_line_and_type(site)].setdefault(site.name, site.layer or scope)
        return found

    def consumers(self, slot: int) -> Slots:
        """Slots that read a slot."""
        targets, start = self._by_source
        return targets[start[slot] : start[slot + 1]]

    def feeding(self, targets: Mask, through: Mask, links: int = MAX_LINKS) -> Mask:
        """Slots whose value reaches a target, bool [N]; the targets themselves are among them.

        Args:
          targets: bool [N].
          through: bool [N], slots the value may pass on its way; a target may be one of them.
          links: how many of them at most.
        """
        return self._fed(targets.tobytes(), through.tobytes(), links)

    def _feeding(self, packed_targets: bytes, packed_through: bytes, links: int) -> Mask:
        targets, through = np.frombuffer(packed_targets, bool), np.frombuffer(packed_through, bool)
        found, front = targets.copy(), targets
        for _ in range(links):
            front = self.as_mask(self.edge_source[(front & through)[self.edge_target]]) & ~found
            if not front.any():
                break
            found |= front
        return _read_only(found)

    def carrying(self, sources: Mask, through: Mask, links: int = MAX_LINKS) -> Mask:
        """Slots that hand on a source's value, bool [N]: the sources, and what lies behind in ``through``."""
        return self._carried(sources.tobytes(), through.tobytes(), links)

    def _carrying(self, packed_sources: bytes, packed_through: bytes, links: int) -> Mask:
        sources, through = np.frombuffer(packed_sources, bool), np.frombuffer(packed_through, bool)
        found, front = sources.copy(), sources
        for _ in range(links):
            front = self.as_mask(self.edge_target[front[self.edge_source]]) & through & ~found
            if not front.any():
                break
            found |= front
        return _read_only(found)

    @cached_property
    def reaches_result(self) -> Mask:
        """Slots whose value flows into a variable or a returned value, bool [N]."""
        reaches = self.returned | self.role(Role.UPDATE)
        for slot in range(self.size - 1, -1, -1):  # consumers come later, but for what a loop carries round
            if reaches[slot]:
                reaches[self.inputs(slot)] = True
        return reaches

    @cached_property
    def of_data(self) -> Mask:
        """Slots that data and literals alone decide: no variable has a part in them, bool [N]."""
        every = np.ones(self.size, bool)
        return ~self.carrying(self.role(Role.VARIABLE, Role.UPDATE), every, self.size) & ~self.looped

    @cached_property
    def guards(self) -> Guards:
        """What keeps operands away from poles."""
        return Guards(self)

    @cached_property
    def updates(self) -> Updates:
        """The updates of variables by a change."""
        found = [u for slot in self.members("update") if (u := self._update(int(slot))) is not None]
        return Updates(*(np.array([u[k] for u in found], np.int64) for k in range(4)))

    def _update(self, slot: int) -> tuple[int, int, int, int] | None:
        """(slot, old value, change, total) of an update; None where the change is not known."""
        x, y = int(self.x[slot]), int(self.y[slot])
        if x < 0 and not self.sites[slot].looped:  # it may have been read in another graph of the step
            read = self.reads.get(self.sites[slot].variable, slot)
            x = read if read < slot else -1
        if self.sites[slot].op_type != "AssignVariableOp":
            return (slot, x, y, slot) if y >= 0 else None
        if y < 0 or self._families[y] not in ("add", "sub"):
            return None
        for old, change in ((int(self.x[y]), int(self.y[y])), (int(self.y[y]), int(self.x[y]))):
            if old >= 0 and change >= 0 and self._holds_variable(old, self.sites[slot].variable):
                return slot, old, change, y
        return None

    @cached_property
    def reads(self) -> dict[str, int]:
        """The first slot that reads each variable, by its name."""
        reads: dict[str, int] = {}
        for slot, site in enumerate(self.sites):
            if site.role is Role.VARIABLE and site.variable:
                reads.setdefault(site.variable, slot)
        return reads

    def _holds_variable(self, slot: int, variable: str) -> bool:
        site = self.sites[slot]
        return site.role in (Role.VARIABLE, Role.UPDATE) and site.variable == variable

    @cached_property
    def constants(self) -> tuple[Slots, Row]:
        """Slots of literals, and their static rows, float64 [n, WIDTH]."""
        slots = [i for i, s in enumerate(self.sites) if len(s.constant) == WIDTH]
        rows = np.array([self.sites[i].constant for i in slots], np.float64).reshape(-1, WIDTH)
        return np.array(slots, np.int64), rows

    def table(self, record: StepRecord) -> Row:
        """Every slot's row in one step, float64 [N, WIDTH]; NaN where nothing was measured."""
        table = record.expand(self.size)
        slots, rows = self.constants
        table[slots] = rows
        return table


@dataclass(frozen=True)
class Updates:
    """Updates of variables by a change, int64 [n] each.

    Attributes:
      slots: the assignment ops.
      old: the value before, -1 where it was not measured.
      change: what is added or subtracted.
      total: where the sum was measured: the assignment itself, or the sum it assigns.
    """

    slots: Slots
    old: Slots
    change: Slots
    total: Slots


_ROLE_NUMBER = {role: number for number, role in enumerate(Role)}


def _line_and_type(site: OpSite) -> object:
    return site.source, site.op_type, site.role, site.graph


def ordinal(number: int) -> str:
    """A position as people write it: "1st", "2nd", "11th"."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _read_only(mask: Mask) -> Mask:
    """The mask, which several callers share."""
    mask.setflags(write=False)
    return mask


def _parameter(formats: Sequence[FloatFormat | None], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if f is None else getattr(f, name) for f in formats], np.float64)
