"""The twin of a tf.function: the same Python function traced once more, every op measured on the side.

The twin is a *shadow*: it runs on copies of the variables it captures and its results are thrown away.
The user's own trace does the training, so watching cannot change a single bit of it.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.function.polymorphism import function_cache
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.eager import record
from tensorflow.python.eager.polymorphic_function import autograph_util, function_type_utils, tracing_compilation
from tensorflow.python.framework import tensor_util

from tb_numstab.instrument.collector import Collector, Entry, Rows, Update
from tb_numstab.instrument.counters import LAYOUTS, measure
from tb_numstab.instrument.op_types import (
    ALIASES,
    CALLS,
    HOST_CODE,
    LEGACY_RANDOM,
    READS,
    SAFE_RESOURCE_READS,
    is_measured,
    is_update,
)
from tb_numstab.instrument.operands import counts_events
from tb_numstab.instrument.recorder import Recorder
from tb_numstab.instrument.shadow import Shadow, is_variable, replaced
from tb_numstab.schema.ops import OpSite, Role

BUCKET_BYTES = 32 << 20
BUCKET_TENSORS = 64
"""A bucket of tensors goes to the host at once: fewer graph nodes, and no tensor is held for long."""

UNKNOWN_BYTES = 1 << 20
"""What a tensor of unknown shape counts for in a bucket."""


class CannotShadow(Exception):
    """The function does something that may not happen twice; the message says what."""


class _Bucket:
    """Tensors on their way to one host call."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.entries: list[Entry] = []
        self.bytes = 0
        self._index: dict[int, int] = {}

    def index(self, tensor: Any) -> int:
        """Position of a tensor among those the sink receives."""
        if tensor._id not in self._index:
            self._index[tensor._id] = len(self.tensors)
            self.tensors.append(tensor)
            elements = tensor.shape.num_elements()
            self.bytes += UNKNOWN_BYTES if elements is None else elements * tensor.dtype.size
        return self._index[tensor._id]

    @property
    def full(self) -> bool:
        return self.bytes >= BUCKET_BYTES or len(self.tensors) >= BUCKET_TENSORS


class GraphRecorder(Recorder):
    """Records the ops of one twin trace and adds the sinks that measure them.

    Ops of the twin's own graph share buckets. Ops of nested graphs (loop bodies, branches and their
    gradients) get a sink each, inside that graph: nothing may be captured out of it.
    """

    def __init__(self, collect: Callable[[], Collector]) -> None:
        super().__init__()
        self.notes: set[str] = set()
        self.refusal: str | None = None
        self.written: set[int] = set()  # handles of the variables it updates
        self._collect = collect
        self._top: Any = None
        self._bucket = _Bucket()
        self._reads: dict[tuple[int, int], int] = {}  # (graph, handle) -> slot of the variable's value
        self._updates: dict[int, list[int]] = {}  # handle -> slots that update it
        self._handles: dict[int, int] = {}  # slot -> handle
        self._parameters: dict[int, list[tuple[int, int, Any]]] = {}  # graph -> (slot, position, placeholder)
        self._graphs: dict[str, Any] = {}

    # ---- the trace

    def trace(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the user's function inside the twin's graph."""
        self._top = tf.compat.v1.get_default_graph()
        with self.recording(), tf.summary.record_if(False):
            self._add_arguments(args, kwargs)
            result = function(*args, **kwargs)
        if self.problem is None:
            self._mark_returned(result)
            self._flush()
        return result

    def _add_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        where = self.describe("Placeholder", "argument", ())
        for index, tensor in enumerate(tf.nest.flatten((args, kwargs), expand_composites=True)):
            if tf.is_tensor(tensor) and is_measured(tensor.dtype.name):
                site = dataclasses.replace(where, name=f"argument_{index}", role=Role.INPUT)
                self._measure(tensor, site, self._top)

    def _mark_returned(self, result: Any) -> None:
        for tensor in tf.nest.flatten(result, expand_composites=True):
            if isinstance(tensor, tf.Variable):
                slot = self._updates.get(id(tensor.handle), [-1])[-1]
            else:
                slot = self.slot_of(tensor) if tf.is_tensor(tensor) else -1
            if slot >= 0:
                self.sites[slot] = dataclasses.replace(self.sites[slot], returned=True)

    # ---- one op

    def record(
        self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], op_name: str | None, graph: Any
    ) -> None:
        if graph is None:
            return  # run eagerly inside init_scope: not part of the step
        self._graphs[graph.name] = graph
        self._check_repeatable(op_type, inputs)
        if op_type in ALIASES:
            for source, tensor in zip(inputs, outputs, strict=False):
                if self.slot_of(source) >= 0:
                    self.alias(tensor, self.slot_of(source))
        elif op_type == "Const":
            self._add_constant(outputs[0], op_name or "")
        elif op_type in READS:
            self._add_read(inputs[0], outputs[0], op_name or "", graph)
        elif is_update(op_type):
            self._add_update(op_type, inputs, op_name or "", graph)
        elif op_type != "Placeholder":
            self._add_op(op_type, inputs, outputs, op_name or "", graph)

    def _check_repeatable(self, op_type: str, inputs: Sequence[Any]) -> None:
        if op_type in HOST_CODE:
            self.refusal = self.refusal or "it runs Python code (tf.py_function or tf.numpy_function)"
        elif op_type in LEGACY_RANDOM:
            self.notes.add(
                f"{op_type} draws its own numbers in the measured run; use tf.random.Generator or stateless ops"
            )
        elif op_type not in SAFE_RESOURCE_READS and op_type not in CALLS:
            for tensor in inputs:
                external = self._external(tensor) if tensor.dtype == tf.resource else None
                if isinstance(external, tf.__internal__.EagerTensor) and not is_variable(external):
                    self.refusal = self.refusal or f"{op_type} changes a captured resource that cannot be copied"

    def _add_op(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], name: str, graph: Any) -> None:
        measured = [(i, t) for i, t in enumerate(outputs) if is_measured(t.dtype.name)]
        if not measured:
            return
        for tensor in inputs:
            self._resolve(tensor)
        site = self.describe(op_type, name, inputs, outputs[0].op.traceback)
        pending = [p for p, slot in enumerate(site.inputs) if slot < 0 and inputs[p].op.type == "Placeholder"]
        if op_type in CALLS:
            site = dataclasses.replace(site, inputs=site.inputs + self._close_call(outputs[0].op, site.inputs))
        events = counts_events(op_type, [i.dtype.name for i in inputs])
        for index, tensor in measured:
            slot = self._measure(tensor, dataclasses.replace(site, output=index), graph, inputs if events else ())
            for position in pending:
                self._parameters.setdefault(id(graph), []).append((slot, position, inputs[position]))
        self.remember(op_type, inputs, self.slot_of(measured[0][1]))

    def _measure(
        self, tensor: Any, site: OpSite, graph: Any, operands: Sequence[Any] = (), update: Update | None = None
    ) -> int:
        shape = None if tensor.shape.rank is None else tuple(-1 if d is None else d for d in tensor.shape)
        path, looped = self._place(graph)
        site = dataclasses.replace(site, dtype=tensor.dtype.name, shape=shape, graph=path, looped=looped)
        slot = self.add(tensor, site)
        bucket = self._bucket if graph is self._top else _Bucket()
        index = bucket.index(tensor)
        positions = tuple(bucket.index(t) for t in operands)
        bucket.entries.append(Entry(slot, site.op_type, index, positions, update))
        if bucket is not self._bucket:
            self._add_sink(bucket)
        elif bucket.full:
            self._flush()
        return slot

    def _flush(self) -> None:
        if self._bucket.entries:
            self._add_sink(self._bucket)
        self._bucket = _Bucket()

    def _add_sink(self, bucket: _Bucket) -> None:
        entries, collect = tuple(bucket.entries), self._collect

        def sink(*tensors: Any) -> None:
            collect().sink(entries, tensors)

        with tf.control_dependencies(None), tf.name_scope("numstab/"), tf.device("CPU:0"), record.stop_recording():
            tf.numpy_function(sink, bucket.tensors, [])

    # ---- constants, variables, functions

    def _add_constant(self, tensor: Any, name: str) -> None:
        if not is_measured(tensor.dtype.name):
            return
        row, _ = measure(np.asarray(tensor_util.constant_value(tensor)), LAYOUTS[tensor.dtype.name])
        shape = tuple(tensor.shape.as_list())
        site = OpSite("Const", name, dtype=tensor.dtype.name, shape=shape, role=Role.CONSTANT, constant=tuple(row))
        self.add(tensor, site)

    def _add_read(self, handle: Any, tensor: Any, name: str, graph: Any) -> None:
        if not is_measured(tensor.dtype.name):
            return
        variable, scope = self.note_variable(self._external(handle)), graph
        while scope is not None:
            slot = self._reads.get((id(scope), variable))
            if slot is not None:
                self.alias(tensor, slot)
                return
            scope = getattr(scope, "outer_graph", None)
        site = self.describe("ReadVariableOp", name, (), tensor.op.traceback)
        site = dataclasses.replace(site, role=Role.VARIABLE, gradient_of=-1)
        slot = self._measure(tensor, site, graph)
        self._reads[id(graph), variable] = slot
        self._handles[slot] = variable

    def _add_update(self, op_type: str, inputs: Sequence[Any], name: str, graph: Any) -> None:
        op = graph.get_operation_by_name(name)
        handle = self.note_variable(self._external(inputs[0]))
        self.written.add(handle)
        names = [a.name for a in op.op_def.input_arg]
        delta = next(
            (t for n, t in zip(names, inputs, strict=False) if n in ("grad", "delta", "updates", "value")), None
        )
        if delta is None or not is_measured(delta.dtype.name):
            return
        self._resolve(delta)
        site = self.describe(op_type, name, [delta], op.traceback)
        site = dataclasses.replace(
            site, role=Role.UPDATE, inputs=(self._reads.get((id(graph), handle), -1), self.slot_of(delta))
        )
        operands: tuple[Any, ...] = ()
        with record.stop_recording():
            if op_type == "AssignVariableOp":
                new = tf.identity(delta)
            else:
                # Automatic control dependencies order this read after the update, as created.
                new = tf.raw_ops.ReadVariableOp(resource=inputs[0], dtype=delta.dtype)
                operands = (delta,) if "indices" not in names else ()
        earlier = self._updates.setdefault(handle, [])
        keep = bool(earlier) or self._place(graph)[1]
        slot = self._measure(new, site, graph, operands, Update(handle, keep))
        earlier.append(slot)
        self._handles[slot] = handle
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
        return tuple(s for s in results if s >= 0)

    # ---- tensors across graphs

    def _resolve(self, tensor: Any) -> None:
        """Gives a captured tensor the slot it has in the graph it comes from."""
        if tensor._id in self._slots or tensor.op.type != "Placeholder":
            return
        external = self._outer(tensor)
        if external is not None and not isinstance(external, tf.__internal__.EagerTensor):
            self._resolve(external)
            if self.slot_of(external) >= 0:
                self.alias(tensor, self.slot_of(external))

    def _external(self, tensor: Any) -> Any:
        """The tensor outside all graphs that a captured placeholder stands for."""
        while not isinstance(tensor, tf.__internal__.EagerTensor) and tensor.op.type == "Placeholder":
            outer = self._outer(tensor)
            if outer is None:
                break
            tensor = outer
        return tensor

    def _outer(self, tensor: Any) -> Any:
        for external, internal in getattr(tensor.graph, "captures", ()):
            if internal is tensor:
                return external
        return None

    def _place(self, graph: Any) -> tuple[str, bool]:
        """Path of the nested graphs around an op, and whether one of them is a loop body."""
        names: list[str] = []
        while graph is not self._top and graph is not None:
            names.append(graph.name)
            graph = getattr(graph, "outer_graph", None)
        return "/".join(reversed(names)), any("while" in n for n in names)

    # ---- after the trace

    def name_variables(self) -> None:
        """Names the variables that the sites read and update: Keras layers know theirs only now."""
        for slot, handle in self._handles.items():
            self.sites[slot] = self.with_variable(self.sites[slot], handle)

    def written_variables(self, trainable: bool) -> dict[int, Any]:
        """Handles of the measured variables it updates, by id."""
        return {
            handle: self._variables[handle].handle
            for handle in self._updates
            if handle in self._variables and bool(self._variables[handle].trainable) >= trainable
        }


def call_inline(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a nested tf.function's Python function in the twin's own graph.

    Its ops then share the twin's buckets and each call has its own slots; a function traced before
    the twin is covered like any other.
    """
    bound = function_type_utils.canonicalize_function_inputs(
        args, kwargs, function._function_type, function._default_values, function._is_pure
    )
    python_function, status = function._python_function, ag_ctx.Status.DISABLED
    if function._autograph:
        python_function = autograph_util.py_func_from_autograph(
            python_function, function._experimental_autograph_options
        )
        status = ag_ctx.Status.ENABLED
    with ag_ctx.ControlStatusCtx(status=status, options=function._experimental_autograph_options):
        return python_function(*bound.args, **bound.kwargs)


@dataclasses.dataclass
class Trace:
    """One traced signature of a twin."""

    concrete: Any
    recorder: GraphRecorder

    @property
    def sites(self) -> list[OpSite]:
        """The op table of this trace."""
        return self.recorder.sites

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the measurements should know."""
        return tuple(sorted(self.recorder.notes))


class Twin:
    """All instrumented traces of one tf.function.

    Attributes:
      usable: the function has a trace that can be measured.
      written: ids of the handles of all variables it updates.
      trained: handles of the trainable ones among them; of all, when none is trainable.
      hidden_state: it draws random numbers that a second run cannot draw again.
    """

    def __init__(self, function: Any) -> None:
        self._collector = Collector()
        self._traces: dict[int, Trace] = {}
        self._recorders: dict[int, GraphRecorder] = {}
        self.usable = False
        self.written: set[int] = set()
        self.trained: dict[int, Any] = {}
        self.hidden_state = False
        self._options = tracing_compilation.TracingOptions(
            python_function=self._traced(function),
            name=f"numstab_{getattr(function, '_name', 'twin')}",
            polymorphic_type=function._function_type,
            default_values=function._default_values,
            scope_type=tracing_compilation.ScopeType.NO_VARIABLE_CREATION,
            autograph=function._autograph,
            autograph_options=function._experimental_autograph_options,
            reduce_retracing=function._reduce_retracing,
            function_cache=function_cache.FunctionCache(),
        )

    def _traced(self, function: Any) -> Callable[..., Any]:
        python_function = function._python_function
        if function._autograph:
            python_function = autograph_util.py_func_from_autograph(
                python_function, function._experimental_autograph_options
            )

        @functools.wraps(function._python_function)
        def twin(*args: Any, **kwargs: Any) -> Any:
            recorder = GraphRecorder(lambda: self._collector)
            self._recorders[id(tf.compat.v1.get_default_graph())] = recorder
            return recorder.trace(python_function, args, kwargs)

        return twin

    def trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
        """The trace for these arguments, made on first use.

        Raises:
          CannotShadow: the function does something that must not happen twice.
        """
        concrete = tracing_compilation.trace_function(args, kwargs, self._options)
        trace = self._traces.get(id(concrete))
        if trace is None:
            recorder = self._recorders.pop(id(concrete.graph))
            recorder.name_variables()
            trace = self._traces[id(concrete)] = Trace(concrete, recorder)
        if trace.recorder.problem is not None:
            raise trace.recorder.problem
        if trace.recorder.refusal is not None:
            raise CannotShadow(trace.recorder.refusal)
        self._take_note(trace.recorder)
        return trace

    def _take_note(self, recorder: GraphRecorder) -> None:
        self.usable = True
        self.hidden_state |= bool(recorder.notes)
        self.written |= recorder.written
        self.trained |= recorder.written_variables(trainable=True)
        if not self.trained:
            self.trained |= recorder.written_variables(trainable=False)

    def run(
        self,
        trace: Trace,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        stand_ins: Mapping[int, Any] | None = None,
    ) -> Rows:
        """Measures one step on copies of the variables.

        Args:
          trace: from ``trace`` with the same arguments.
          args: positional arguments of the step.
          kwargs: its keyword arguments.
          stand_ins: variables to start from instead of the real ones, by id of the real one's handle.
        """
        inputs = flat_inputs(trace.concrete, args, kwargs)
        shadow = Shadow(inputs, stand_ins)
        collector = self._collector = Collector(old_values=shadow.host_values())
        with record.stop_recording():
            call_concrete(trace.concrete, inputs, shadow.variables())
        self._collector = Collector()
        if collector.problem is not None:
            raise collector.problem
        return collector.finish(len(trace.sites))


_twins: weakref.WeakKeyDictionary[Any, Twin] = weakref.WeakKeyDictionary()


def twin_of(function: Any) -> Twin:
    """The twin of a tf.function; it lives as long as the function."""
    twin = _twins.get(function)
    if twin is None:
        twin = _twins[function] = Twin(function)
    return twin


def flat_inputs(concrete: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """A concrete function's inputs for these arguments, captured ones last."""
    function_type = concrete.function_type
    return [*function_type.unpack_inputs(function_type.bind(*args, **kwargs)), *concrete.captured_inputs]


def call_concrete(concrete: Any, inputs: list[Any], stand_ins: Mapping[int, Any]) -> Any:
    """Calls a concrete function with stand-ins for its variables."""
    captured = len(concrete.captured_inputs)
    tensors = replaced(inputs, stand_ins)
    return concrete._call_flat(tensors[: len(tensors) - captured], tensors[len(tensors) - captured :])
