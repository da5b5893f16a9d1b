"""Recording the ops of a graph while it is traced, and adding what measures them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record

from tb_numstab.instrument.bucket import Bucket, hold_back
from tb_numstab.instrument.called import nodes_in
from tb_numstab.instrument.cluster import worker
from tb_numstab.instrument.collector import Collector, Entry, Update
from tb_numstab.instrument.data_names import named_arguments
from tb_numstab.instrument.host_calls import token_in, token_of
from tb_numstab.instrument.inline import call_inline
from tb_numstab.instrument.lists import TensorLists
from tb_numstab.instrument.nesting import handed, outer, outermost, place
from tb_numstab.instrument.op_types import (
    ALIASES,
    CALLS,
    CALLS_OF_GRAPHS,
    FROM_ITERATOR,
    HOST_CODE,
    PACKING,
    PUTS,
    READS,
    UNPACKING,
    counts_update,
    delta_of,
    is_measured,
    is_update,
)
from tb_numstab.instrument.operands import counts_events
from tb_numstab.instrument.outlines import Outlines
from tb_numstab.instrument.recorder import Recorder, constant_site, static_shape
from tb_numstab.instrument.repeatable import Repeatable
from tb_numstab.schema.ops import OpSite, Role


class GraphRecorder(Recorder):
    """Records the ops of one twin trace and adds the sinks that measure them.

    Ops of a graph share buckets, and each bucket is sent from inside its graph: of a nested one (a loop
    body, a branch, their gradients) nothing may be captured.
    """

    traces_twin = True

    def __init__(self, collect: Callable[[], Collector]) -> None:
        super().__init__()
        self.repeatable = Repeatable((), {})
        self.notes: set[str] = set()
        self.written: set[int] = set()  # handles of the variables it updates
        self.arguments: dict[int, int] = {}  # id of a placeholder for an argument -> slot
        self.compiled = False  # part of it is compiled in training
        self.shared = False  # it waits for other workers
        self.host_tokens: set[str] = set()  # of the user's Python code in it
        self.returned: list[int] = []  # slots of what the function returns, flat; -1 where not measured
        self._collect = collect
        self._top: Any = None
        self._buckets: dict[int, Bucket] = {}  # by graph
        self._sent: dict[int, list[Any]] = {}  # by graph: the ops that hand buckets to the host
        self._reads: dict[tuple[int, int], int] = {}  # (graph, handle) -> slot of the variable's value
        self._updates: dict[int, list[int]] = {}  # handle -> slots that update it
        self._parameters: dict[int, list[tuple[int, int, Any]]] = {}  # graph -> (slot, position, placeholder)
        self._graphs: dict[str, Any] = {}
        self._outlines = Outlines(self.sites, self.slot_of)
        self._lists = TensorLists(self.slot_of, self.alias)
        self._packed: dict[int | None, Sequence[Any]] = {}  # optional's id -> the tensors in it

    # ---- the trace

    def trace(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the user's tf.function inside the twin's graph."""
        self._top = tf.compat.v1.get_default_graph()
        self.repeatable = Repeatable(args, kwargs)
        with self.recording(), tf.summary.record_if(False):
            self._add_arguments(function, args, kwargs)
            result = self.call(function, args, kwargs)
        if self.problem is None:
            self.returned = self._mark_returned(result)
            self._send(self._top)
        return result

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a tf.function inside the trace."""
        self.compiled |= bool(function._jit_compile)
        return call_inline(function, args, kwargs)

    def _add_arguments(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        where = self.describe("Placeholder", "argument", ())
        for index, (name, tensor) in enumerate(named_arguments(function, args, kwargs)):
            if isinstance(tensor, tf.Variable):
                continue  # its reads are measured
            if tf.is_tensor(tensor) and is_measured(tensor.dtype.name):
                site = dataclasses.replace(where, name=f"argument_{index}", role=Role.INPUT, variable=name)
                self.arguments[tensor._id] = self._measure(tensor, site, self._top)

    def _mark_returned(self, result: Any) -> list[int]:
        slots = []
        for tensor in tf.nest.flatten(result, expand_composites=True):
            self._mark_returned(self._packed.get(getattr(tensor, "_id", None), ()))
            if isinstance(tensor, tf.Variable):
                slot = self._updates.get(id(tensor.handle), [-1])[-1]
            else:
                slot = self.slot_of(tensor) if tf.is_tensor(tensor) else -1
            if slot >= 0:
                self.sites[slot] = dataclasses.replace(self.sites[slot], returned=True)
            slots.append(slot)
        return slots

    # ---- one op

    def record(
        self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], op_name: str | None, graph: Any
    ) -> None:
        if graph is None:
            return  # run eagerly inside init_scope: not part of the step
        self._graphs[graph.name] = graph
        self.shared |= op_type.startswith("Collective") and worker() != ""
        self.repeatable.check(op_type, inputs)
        if op_type in HOST_CODE:
            self.host_tokens.add(token_of(graph.get_operation_by_name(op_name)))
        if op_type in CALLS_OF_GRAPHS:
            self._look_into(graph.get_operation_by_name(op_name))
        handed_on = self._handed_on(op_type, inputs)
        if handed_on is not None:
            for source, tensor in zip(handed_on, outputs, strict=False):
                if self.slot_of(source) >= 0:
                    self.alias(tensor, self.slot_of(source))
        elif op_type in PACKING:
            self._packed[outputs[0]._id] = inputs
        elif op_type == "Const":
            self._add_constant(outputs[0], op_name or "")
        elif op_type in READS:
            self._add_read(inputs[0], outputs[0], op_name or "", graph)
        elif is_update(op_type):
            self._add_update(op_type, inputs, op_name or "", graph)
        elif op_type in PUTS:
            for tensor in inputs:
                self._resolve(tensor)
            self._lists.put(op_type, inputs, outputs[0])
        elif op_type == "AddN" and not is_measured(outputs[0].dtype.name):  # gradients of a list, added up
            self._lists.join(outputs[0], inputs)
        elif op_type != "Placeholder":
            self._add_op(op_type, inputs, outputs, op_name or "", graph)

    def _look_into(self, call: Any) -> None:
        """Takes a call of a graph that is not traced again."""
        for node in nodes_in(call):
            self.repeatable.check_called(node.op)
            if node.op in HOST_CODE:
                self.host_tokens.add(token_in(node))

    def _handed_on(self, op_type: str, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """The tensors whose elements an op hands on; None where it makes new ones."""
        if op_type in UNPACKING:
            return self._packed.get(outermost(inputs[0])._id)
        return inputs if op_type in ALIASES else None

    def _add_op(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], name: str, graph: Any) -> None:
        measured = [(i, t) for i, t in enumerate(outputs) if is_measured(t.dtype.name)]
        if not measured and not (op_type in CALLS and outputs):
            return
        hold_back(outputs[0].op, self._sent.get(id(graph), ()))
        for tensor in inputs:
            self._resolve(tensor)
        body = self._outlines.origin(outputs[0].op)
        site = self._outlines.place(body, self.describe(op_type, name, inputs, outputs[0].op.traceback))
        pending = [(p, handed(inputs[p])) for p, slot in enumerate(site.inputs) if slot < 0]
        further = self._close_call(outputs[0].op, site.inputs) if op_type in CALLS else self._further(inputs)
        site = dataclasses.replace(site, inputs=site.inputs + further)
        events = counts_events(op_type, [i.dtype.name for i in inputs])
        parts = self.repeatable.element_names(inputs[0]) if op_type in FROM_ITERATOR else []
        for index, tensor in measured:
            site = dataclasses.replace(site, output=index, variable=parts[index] if index < len(parts) else "")
            slot = self._measure(tensor, site, graph, inputs if events else ())
            parameters = [(slot, p, source) for p, source in pending if source.op.type == "Placeholder"]
            self._parameters.setdefault(id(graph), []).extend(parameters)
        if measured:
            self.remember(op_type, inputs, self.slot_of(measured[0][1]))
            self._outlines.runs_as(body, self.slot_of(measured[0][1]))

    def _further(self, inputs: Sequence[Any]) -> tuple[int, ...]:
        """What else may come out of the list that an op reads."""
        return self._lists.makers(inputs[0])[1:] if inputs else ()

    def _measure(
        self, tensor: Any, site: OpSite, graph: Any, operands: Sequence[Any] = (), update: Update | None = None
    ) -> int:
        path, looped = place(graph, self._top)
        site = dataclasses.replace(site, dtype=tensor.dtype.name, shape=static_shape(tensor), graph=path, looped=looped)
        slot = self.add(tensor, site)
        self._outlines.measure(slot, functools.partial(self._put, slot, tensor, graph, operands, update))
        return slot

    def _put(self, slot: int, tensor: Any, graph: Any, operands: Sequence[Any], update: Update | None) -> None:
        site = self.sites[slot]
        bucket = self._buckets.setdefault(id(graph), Bucket(site.looped))
        index = bucket.index(tensor)
        positions = tuple(bucket.index(t) for t in operands)
        # An optimizer's moments and what it computes from them; the trained variables count exactly.
        estimate = site.role is Role.OPTIMIZER or (site.role in (Role.VARIABLE, Role.UPDATE) and not site.trainable)
        bucket.entries.append(Entry(slot, site.op_type, index, positions, update, estimate))
        if bucket.full:
            self._send(graph)

    def _send(self, graph: Any) -> None:
        with self.unrecorded():
            sink = self._buckets.pop(id(graph), Bucket()).send(self._collect)
        if sink is not None:
            self._sent.setdefault(id(graph), []).append(sink)

    def outline(self) -> AbstractContextManager[None]:
        return self._outlines.loop()

    def vectorize(self) -> None:
        self._outlines.vectorize()

    def close_graph(self, graph: Any) -> None:
        """Sends what a nested graph still has in its bucket: nothing can be added to it later."""
        try:
            self._send(graph)
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self.problem = self.problem or error

    # ---- constants, variables, functions

    def _add_constant(self, tensor: Any, name: str) -> None:
        if not is_measured(tensor.dtype.name):
            return
        self.add(tensor, constant_site(tensor, name))

    def _add_read(self, handle: Any, tensor: Any, name: str, graph: Any) -> None:
        if not is_measured(tensor.dtype.name):
            return
        variable, scope = self.note_variable(outermost(handle)), graph
        while scope is not None:
            slot = self._reads.get((id(scope), variable))
            if slot is not None:
                self.alias(tensor, slot)
                return
            scope = getattr(scope, "outer_graph", None)
        site = self.describe("ReadVariableOp", name, (), tensor.op.traceback)
        trained = self.is_trained(variable)
        site = dataclasses.replace(site, role=Role.VARIABLE, gradient_of=-1, trainable=trained)
        slot = self._measure(tensor, site, graph)
        self._reads[id(graph), variable] = slot
        self.handles[slot] = variable

    def _add_update(self, op_type: str, inputs: Sequence[Any], name: str, graph: Any) -> None:
        op = graph.get_operation_by_name(name)
        handle = self.note_variable(outermost(inputs[0]))
        self.written.add(handle)
        delta = delta_of(op)
        if delta is None or not is_measured(delta.dtype.name):
            return
        self._resolve(delta)
        site = self.describe(op_type, name, [delta], op.traceback)
        site = dataclasses.replace(
            site, role=Role.UPDATE, inputs=(self._reads.get((id(graph), handle), -1), self.slot_of(delta))
        )
        site = dataclasses.replace(site, trainable=self.is_trained(handle))
        operands: tuple[Any, ...] = ()
        with record.stop_recording():
            if op_type == "AssignVariableOp":
                new = tf.identity(delta)
            else:
                # Automatic control dependencies order this read after the update, as created.
                new = tf.raw_ops.ReadVariableOp(resource=inputs[0], dtype=delta.dtype)
                operands = (delta,) if counts_update(op) else ()
        earlier = self._updates.setdefault(handle, [])
        keep = bool(earlier) or place(graph, self._top)[1]
        slot = self._measure(new, site, graph, operands, Update(handle, keep))
        earlier.append(slot)
        self.handles[slot] = handle
        self._reads[id(graph), handle] = slot

    def _close_call(self, op: Any, links: tuple[int, ...]) -> tuple[int, ...]:
        """Links the parameters and results of the functions an op calls; returns the results' slots."""
        results: list[int] = []
        for attr in ("body", "then_branch", "else_branch", "f"):
            try:
                graph = self._graphs.get(op.get_attr(attr).name)
            except ValueError:
                continue
            if graph is None:
                continue
            parameters = {t._id: i for i, t in enumerate(graph.inputs)}
            offset = 0 if attr in ("body", "f") else 1  # If's first input is its condition
            for slot, position, placeholder in self._parameters.pop(id(graph), []):
                source = parameters.get(placeholder._id, -1) + offset
                if offset <= source < len(links):
                    site = self.sites[slot]
                    inputs = (*site.inputs[:position], links[source], *site.inputs[position + 1 :])
                    self.sites[slot] = dataclasses.replace(site, inputs=inputs)
            results += [self.slot_of(t) for t in graph.outputs if is_measured(t.dtype.name)]
            for index, (made, inner) in enumerate(zip(op.outputs, graph.outputs, strict=False)):
                if not is_measured(made.dtype.name):
                    self._lists.join(made, (inner, op.inputs[index]) if attr == "body" else (inner,))
        return tuple(s for s in results if s >= 0)

    # ---- tensors across graphs

    def _resolve(self, tensor: Any) -> None:
        """Gives a captured tensor the slot it has in the graph it comes from."""
        if tensor._id in self._slots or tensor.op.type != "Placeholder":
            return
        captured = outer(tensor)
        if captured is not None and not isinstance(captured, tf.__internal__.EagerTensor):
            self._resolve(captured)
            if self.slot_of(captured) >= 0:
                self.alias(tensor, self.slot_of(captured))

    # ---- after the trace

    def name_variables(self) -> None:
        """Names the variables that the sites read and update: Keras layers know theirs only now."""
        paths = self.variable_paths()
        for slot, handle in self.handles.items():
            self.sites[slot] = self.with_variable(self.sites[slot], handle, paths)

    def written_variables(self, trainable: bool) -> dict[int, Any]:
        """Handles of the measured variables it updates, by id."""
        return {
            handle: self._variables[handle].handle
            for handle in self._updates
            if handle in self._variables and bool(self._variables[handle].trainable) >= trainable
        }
