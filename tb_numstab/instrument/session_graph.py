"""What of a TensorFlow 1 graph one ``session.run`` computes, and how to compute it again without effects.

In a session any tensor can be fed. So a step is measured by a second run, in which everything that has a
state (variables, random numbers, queues, iterators) is fed with what the training's own run got from it.
An op that would have an effect all the same is left out, with what depends on it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from tb_numstab.instrument.collector import Entry, Update
from tb_numstab.instrument.frames import user_frames
from tb_numstab.instrument.op_types import ALIASES, CALLS, READS, counts_update, delta_of, is_measured, is_update
from tb_numstab.instrument.operands import counts_events
from tb_numstab.instrument.recorder import constant_site, static_shape
from tb_numstab.instrument.stack import is_backpropagation
from tb_numstab.schema.ops import OpSite, Role

_HARMLESS = frozenset({"VarHandleOp", "NoOp", "Placeholder", "PlaceholderWithDefault"})
"""Ops that may run again although they are declared to have a state."""

_ENDS = frozenset({"Exit", "Merge"})
"""Where loops and branches of the old kind, which run op by op, hand on their results."""

_DATA = ("Placeholder", "IteratorGetNext", "Queue", "Unstage", "ReaderRead")
"""How the names of op types begin that bring data into the graph."""

_OLD_KIND = re.compile(r"Apply|SparseApply|Scatter|Assign(?:Add|Sub)?$")
"""Updates of variables that are no resource variables."""

_FORWARD_OF = re.compile(r"(?:^|.*/)gradients(?:_\d+)?/(.+?)_grad/")
"""``tf.gradients`` names what it builds after the op it differentiates."""


class _Library:
    """The functions of a graph: bodies of loops, branches."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._verdicts: dict[str, bool] = {}

    @cached_property
    def _functions(self) -> dict[str, Any]:
        return {f.signature.name: f for f in self._graph.as_graph_def().library.function}

    def only_reads(self, name: str) -> bool:
        """Whether running a function again changes nothing."""
        if name not in self._verdicts:
            self._verdicts[name] = all(self._reads(node) for node in self._functions[name].node_def)
        return self._verdicts[name]

    def _reads(self, node: Any) -> bool:
        op_def = op_def_registry.get(node.op)
        if node.op in CALLS or op_def is None:
            return all(map(self.only_reads, called_functions(node)))
        return not op_def.is_stateful or node.op in _HARMLESS | READS


def called_functions(node: Any) -> list[str]:
    """Names of the functions that a node (a NodeDef) calls."""
    attributes = [a for value in node.attr.values() for a in (value.func, *value.list.func)]
    return [a.name for a in attributes if a.name] or ([node.op] if op_def_registry.get(node.op) is None else [])


class StepGraph:
    """The part of a graph behind some fetches.

    Attributes:
      sites: its op table.
      sources: tensors that come from something with a state, to be fetched along with the step.
      tensors: tensors that a measurement needs the values of.
      after: tensors that read, once the step is over, the variables it has updated.
      entries: what to measure; numbers index ``tensors`` followed by ``after``.
      handles: id of the variable's handle, by slot of its reads and updates.
      trained: the sources that hold the values of trained variables before the step.
      unseen: tensors that read the trained variables that no source shows, such as those used in a loop only.
      trains: whether it updates a trained variable.
      old_kind: variables it updates that are no resource variables, by name.
    """

    def __init__(self, graph: Any, fetches: Iterable[Any], fed: Iterable[Any]) -> None:
        """Args are as given to ``session.run``, flat and resolved to tensors and operations."""
        self.sites: list[OpSite] = []
        self.sources: list[Any] = []
        self.tensors: list[Any] = []
        self.after: list[Any] = []
        self.entries: list[Entry] = []
        self.handles: dict[int, int] = {}
        self.trained: list[Any] = []
        self.unseen: list[Any] = []
        self.trains = False
        self.old_kind: set[str] = set()
        fetches = list(fetches)
        self._graph = graph
        self._returned = {t.ref() for t in fetches if isinstance(t, tf.Tensor)}
        self._slots: dict[Any, int] = {}  # tensor -> slot
        self._reads: dict[int, int] = {}  # id of a handle -> slot of the variable's value
        self._known = {t.ref() for t in fed}  # tensors that have the step's own values in a second run
        self._harmless: set[Any] = set()  # ops that a second run may run, with all that is behind them
        self._library = _Library(graph)
        self._positions: dict[Any, int] = {}  # tensor -> index in ``tensors``
        variables = graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES)
        self._variables = {v.handle.ref(): v for v in variables if hasattr(v, "handle")}
        for tensor in fed:
            if is_measured(tensor.dtype.name):
                self._add_tensor(tensor, self._describe(tensor.op))
        needs = self._needs(fetches)
        ops = self._in_order(needs)
        self._updates = Counter(op.inputs[0].ref() for op in ops if is_update(op.type))
        self._later_reads = later_reads(ops, needs)
        for op in ops:
            if _OLD_KIND.match(op.type):
                self.old_kind.add(op.inputs[0].op.name)
            elif not is_update(op.type):
                self._add(op)
        updates = [self._add_update(op) for op in ops if is_update(op.type)]
        self.entries += [replace(e, tensor=len(self.tensors) + e.tensor) for e in updates if e is not None]

    # ---- which ops, and which of them may run again

    def _needs(self, fetches: list[Any]) -> dict[Any, set[Any]]:
        """The ops that the fetches need, and of each the ops it needs itself."""
        needs: dict[Any, set[Any]] = {}
        front = [f.op if isinstance(f, tf.Tensor) else f for f in fetches]
        while front:
            op = front.pop()
            if op not in needs:
                sources = [t.op for t in op.inputs if t.ref() not in self._known]
                # What comes round again in a loop of the old kind is no need of its first round.
                needs[op] = {s for s in (*sources, *op.control_inputs) if s.type != "NextIteration"}
                front += [*sources, *op.control_inputs]
        return needs

    def _in_order(self, needs: Mapping[Any, set[Any]]) -> list[Any]:
        """The ops, each behind those it needs, else by creation."""
        created = {op: index for index, op in enumerate(self._graph.get_operations())}
        sorter, ready, order = TopologicalSorter(needs), list[tuple[int, Any]](), list[Any]()
        sorter.prepare()
        while sorter.is_active():
            for op in sorter.get_ready():
                heappush(ready, (created[op], op))
            order.append(heappop(ready)[1])
            sorter.done(order[-1])
        return order

    def _add(self, op: Any) -> None:
        effect = self._has_effect(op)
        fed_in = all(t.ref() in self._known or t.op in self._harmless for t in op.inputs)
        waits = self._harmless.issuperset(op.control_inputs)
        if fed_in and waits and not effect:
            self._harmless.add(op)
        # What is fed for the outputs of a call is overlooked: the call itself is inlined. Its Identities hold.
        call = op.type in CALLS
        state = _hands_on_call(op) or op.type in _ENDS or (op.op_def.is_stateful and op.type not in _HARMLESS)
        for tensor in op.outputs:
            if waits and not state and all(t.ref() in self._known for t in op.inputs):
                self._known.add(tensor.ref())
            elif state and not call and tensor.dtype not in (tf.resource, tf.variant):
                if self._graph.is_feedable(tensor) and self._graph.is_fetchable(tensor):
                    self.sources.append(tensor)
                    self._known.add(tensor.ref())
        self._add_sites(op)

    def _entering(self, end: Any) -> tuple[int, ...]:
        """Slots of what goes into a loop or branch that runs op by op, seen from where it ends."""
        slots, seen, front = set[int](), set[Any](), list(end.inputs)
        while front:
            tensor = front.pop()
            if tensor.ref() in self._slots:
                slots.add(self._slots[tensor.ref()])
            elif tensor.op not in seen:
                seen.add(tensor.op)
                front += tensor.op.inputs
        return tuple(sorted(slots))

    def _has_effect(self, op: Any) -> bool:
        if op.type in CALLS:
            return not all(map(self._library.only_reads, called_functions(op.node_def)))
        return op.op_def.is_stateful and op.type not in _HARMLESS | READS

    def _can_fetch(self, tensor: Any) -> bool:
        return tensor.ref() in self._known and self._graph.is_fetchable(tensor)

    # ---- sites

    def _add_sites(self, op: Any) -> None:
        if op.type in ALIASES and op.inputs[0].ref() in self._slots:
            self._slots[op.outputs[0].ref()] = self._slots[op.inputs[0].ref()]
            return
        outputs = [t for t in op.outputs if is_measured(t.dtype.name) and self._can_fetch(t)]
        if op.type == "Const":
            for tensor in outputs:
                self._new_slot(tensor, constant_site(tensor, op.name))
            return
        for tensor in outputs:
            self._add_tensor(tensor, self._site_of(op))

    def _site_of(self, op: Any) -> OpSite:
        if _hands_on_call(op):
            return self._describe(op.inputs[0].op)
        site = self._describe(op)
        return replace(site, op_type="While", inputs=self._entering(op)) if op.type in _ENDS else site

    def _add_tensor(self, tensor: Any, site: OpSite) -> None:
        op = tensor.op
        slot = self._new_slot(tensor, site)
        if op.type in READS:
            self.handles[slot] = id(op.inputs[0])
        if op.type in READS and op not in self._later_reads:
            self._reads.setdefault(id(op.inputs[0]), slot)
            if site.trainable:
                self.trained.append(tensor)
        counted = counts_events(op.type, [i.dtype.name for i in op.inputs]) and all(map(self._can_fetch, op.inputs))
        operands = tuple(self._position(t) for t in op.inputs) if counted else ()
        self.entries.append(Entry(slot, op.type, self._position(tensor), operands))

    def _add_update(self, op: Any) -> Entry | None:
        """The entry of an update, its tensor an index in ``after``."""
        variable, delta = self._variables.get(op.inputs[0].ref()), delta_of(op)
        if variable is None or delta is None or not is_measured(delta.dtype.name):
            return None
        self.trains |= bool(variable.trainable)
        handle = id(op.inputs[0])
        site = self._of_variable(self._describe(op), op.inputs[0], Role.UPDATE)
        links = (self._reads.get(handle, -1), self._slots.get(delta.ref(), -1))
        value = self._graph.as_graph_element(variable)
        self.sites.append(replace(site, inputs=links, dtype=value.dtype.name, shape=static_shape(value)))
        self.handles[len(self.sites) - 1] = handle
        self.after.append(value)
        if variable.trainable and handle not in self._reads:
            self.unseen.append(value)
        # Of several updates in one step, nobody sees what each has changed.
        counted = counts_update(op) and self._can_fetch(delta) and self._updates[op.inputs[0].ref()] == 1
        operands = (self._position(delta),) if counted else ()
        return Entry(len(self.sites) - 1, op.type, len(self.after) - 1, operands, Update(handle, keep=False))

    def _describe(self, op: Any) -> OpSite:
        links = tuple(self._slots.get(t.ref(), -1) for t in op.inputs)
        site = OpSite(op.type, op.name, inputs=links, frames=user_frames(op.traceback))
        if op.type in READS:
            return self._of_variable(site, op.inputs[0], Role.VARIABLE)
        if op.type.startswith(_DATA):
            return replace(site, role=Role.INPUT)
        if is_backpropagation(op.traceback):
            forward = self._forward_of(op.name)
            if forward is not None:  # perhaps one that the fetches do not need
                slot = next((self._slots[t.ref()] for t in forward.outputs if t.ref() in self._slots), -1)
                site = replace(site, gradient_of=slot, frames=user_frames(forward.traceback))
            return replace(site, role=Role.GRADIENT)
        behind = any(s >= 0 and self.sites[s].role in (Role.GRADIENT, Role.OPTIMIZER) for s in links)
        return replace(site, role=Role.OPTIMIZER) if behind else site

    def _forward_of(self, name: str) -> Any:
        match = _FORWARD_OF.match(name)
        try:
            return self._graph.get_operation_by_name(match[1]) if match else None
        except KeyError:
            return None

    def _of_variable(self, site: OpSite, handle: Any, role: Role) -> OpSite:
        variable = self._variables.get(handle.ref())
        name = "" if variable is None else variable.op.name
        return replace(site, role=role, variable=name, trainable=bool(getattr(variable, "trainable", False)))

    def _new_slot(self, tensor: Any, site: OpSite) -> int:
        returned = tensor.ref() in self._returned
        shape = static_shape(tensor)
        site = replace(site, output=tensor.value_index, dtype=tensor.dtype.name, shape=shape, returned=returned)
        self._slots[tensor.ref()] = len(self.sites)
        self.sites.append(site)
        return len(self.sites) - 1

    def _position(self, tensor: Any) -> int:
        if tensor.ref() not in self._positions:
            self._positions[tensor.ref()] = len(self.tensors)
            self.tensors.append(tensor)
        return self._positions[tensor.ref()]


def later_reads(ops: Sequence[Any], needs: Mapping[Any, set[Any]]) -> set[Any]:
    """Those reads of variables that may see what the step has made of them, as an average of the weights does.

    A read is sure to come first if an update of its variable needs it, and it needs no update itself.

    Args:
      ops: each behind those it needs.
      needs: the ops that an op needs.
    """
    handles = dict.fromkeys(op.inputs[0].ref() for op in ops if is_update(op.type))
    bits = {handle: 1 << number for number, handle in enumerate(handles)}
    updates = {op: bits[op.inputs[0].ref()] for op in ops if is_update(op.type)}
    updated_before, updated_behind = dict.fromkeys(ops, 0), dict.fromkeys(ops, 0)
    for op in ops:
        for need in needs[op]:
            updated_before[op] |= updated_before[need] | updates.get(need, 0)
    for op in reversed(ops):
        for need in needs[op]:
            updated_behind[need] |= updated_behind[op] | updates.get(op, 0)
    reads = {op: bits.get(op.inputs[0].ref(), 0) for op in ops if op.type in READS}
    return {op for op, bit in reads.items() if bit & (updated_before[op] | ~updated_behind[op])}


def _hands_on_call(op: Any) -> bool:
    return op.type == "Identity" and op.inputs[0].op.type in CALLS
