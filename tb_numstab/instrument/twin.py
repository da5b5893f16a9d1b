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
from tensorflow.python.eager import record
from tensorflow.python.eager.polymorphic_function import tracing_compilation

from tb_numstab.instrument import datasets
from tb_numstab.instrument.collector import Collector, Rows
from tb_numstab.instrument.compiled import CompiledRecorder
from tb_numstab.instrument.graph_recorder import GraphRecorder
from tb_numstab.instrument.host_calls import HostCalls, tokens_in
from tb_numstab.instrument.inline import call_function
from tb_numstab.instrument.iterators import Arguments
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.op_types import LOOPS
from tb_numstab.instrument.shadow import Shadow, replaced
from tb_numstab.schema.ops import OpSite, Role

WITHOUT_XLA = "compiled by XLA in training, measured op by op: XLA may round differently"


class CannotShadow(Exception):
    """The function does something that may not happen twice; the message says what."""


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
        uncompiled = [WITHOUT_XLA] if self.recorder.compiled else []
        return tuple(sorted([*self.recorder.notes, *self.recorder.repeatable.notes, *uncompiled]))

    def measured(self, rows: Rows, arguments: Arguments, returned: Sequence[int], kind: str = "survey") -> Measurement:
        """The measurement of one call.

        Args:
          rows: from ``Twin.run``.
          arguments: of the call.
          returned: ``tensor_ids`` of what the training's own call returned.
          kind: as in Measurement.
        """
        slots = self.recorder.arguments
        inputs = zip(self.concrete.graph.inputs, flat_inputs(self.concrete, arguments), strict=False)
        return Measurement(
            sites=self.sites,
            rows=rows,
            variables=self.recorder.handles,
            takes={slots[p._id]: tensor_ids(t) for p, t in inputs if p._id in slots},
            makes={t: slot for t, slot in zip(returned, self.recorder.returned, strict=False) if slot >= 0},
            notes=self.notes,
            kind=kind,
        )


class Twin:
    """All instrumented traces of one tf.function.

    Attributes:
      tried: whether it was ever asked for a trace.
      usable: the function has a trace that can be measured.
      written: ids of the handles of all variables it updates.
      trained: handles of the trainable ones among them; of all, when none is trainable.
      compiled: XLA compiles it, or part of it, in training.
      shared: it waits for other workers, which must run it too.
      hidden_state: it draws random numbers that a second run cannot draw again.
      host_code: it calls Python code of the user's.
      iterators: the tf.data iterators it captures, by id of their handle.
    """

    def __init__(self, function: Any, recorder: type[GraphRecorder] = GraphRecorder) -> None:
        self._recorder = recorder
        self._collector = Collector()
        self._traces: dict[int, Trace] = {}
        self._recorders: dict[int, GraphRecorder] = {}
        self.tried = self.usable = False
        self.written: set[int] = set()
        self.trained: dict[int, Any] = {}
        self.compiled = self.shared = False
        self.hidden_state = self.host_code = False
        self.iterators: dict[int, Any] = {}
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
        reference = weakref.ref(function)  # the twin lives no longer than the function

        @functools.wraps(function._python_function)
        def twin(*args: Any, **kwargs: Any) -> Any:
            recorder = self._recorder(lambda: self._collector)
            self._recorders[id(tf.compat.v1.get_default_graph())] = recorder
            return recorder.trace(reference(), args, kwargs)

        return twin

    def trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
        """The trace for these arguments, made on first use.

        Raises:
          CannotShadow: the function does something that must not happen twice.
        """
        self.tried = True
        if datasets.passed_over(args, kwargs):
            raise CannotShadow(datasets.REFUSAL)
        concrete = tracing_compilation.trace_function(args, kwargs, self._options)
        trace = self._traces.get(id(concrete))
        if trace is None:
            trace = self._traces[id(concrete)] = Trace(concrete, self._recorders.pop(id(concrete.graph)))
            trace.recorder.name_variables()
        if trace.recorder.problem is not None:
            raise trace.recorder.problem
        if trace.recorder.repeatable.refusal is not None:
            raise CannotShadow(trace.recorder.repeatable.refusal)
        self._take_note(trace.recorder)
        return trace

    def _take_note(self, recorder: GraphRecorder) -> None:
        self.usable = True
        self.compiled |= recorder.compiled
        self.shared |= recorder.shared
        self.host_code |= bool(recorder.host_tokens)
        self.hidden_state |= bool(recorder.repeatable.notes)
        self.iterators |= recorder.repeatable.iterators
        self.written |= recorder.written
        self.trained |= recorder.written_variables(trainable=True)
        if not self.trained:
            self.trained |= recorder.written_variables(trainable=False)

    def run(
        self,
        trace: Trace,
        arguments: Callable[[], Arguments],
        stand_ins: Mapping[int, Any] | None = None,
        host_calls: HostCalls | None = None,
    ) -> Rows:
        """Measures one step on copies of the variables.

        Args:
          trace: from ``trace`` with the same arguments.
          arguments: gives the step's arguments, each time with iterators at the step's own elements.
          stand_ins: variables to start from instead of the real ones, by id of the real one's handle.
          host_calls: what the Python code in it returned to the training.
        """
        host_calls = host_calls or HostCalls()
        first = arguments()
        shadow = Shadow(flat_inputs(trace.concrete, first), stand_ins)
        rows = self._run(trace, first, shadow, host_calls, exact=False)
        # Where gradients or updates went bad, estimates will not do: the state is still there to run it again.
        return self._run(trace, arguments(), shadow, host_calls, exact=True) if _went_bad(trace.sites, rows) else rows

    def _run(self, trace: Trace, arguments: Arguments, shadow: Shadow, host_calls: HostCalls, exact: bool) -> Rows:
        inputs = flat_inputs(trace.concrete, arguments)
        collector = self._collector = Collector(exact=exact, old_values=shadow.host_values())
        with record.stop_recording(), host_calls.replaying(trace.recorder.host_tokens):
            call_concrete(trace.concrete, inputs, shadow.variables() | arguments.handles())
        self._collector = Collector()
        if collector.problem is not None:
            raise collector.problem
        return collector.finish(len(trace.sites))


_BACKWARD = (Role.GRADIENT, Role.OPTIMIZER, Role.UPDATE)


def _went_bad(sites: Sequence[OpSite], rows: Rows) -> bool:
    """Whether the step's results, a loop, or anything between the loss and the updates was non-finite."""
    bad = [sites[int(slot)] for slot in np.flatnonzero(rows.nonfinite())]
    return any(site.returned or site.role in _BACKWARD or site.op_type in LOOPS for site in bad)


_twins: weakref.WeakKeyDictionary[Any, Twin] = weakref.WeakKeyDictionary()
_compiled_twins: weakref.WeakKeyDictionary[Any, Twin] = weakref.WeakKeyDictionary()


def twin_of(function: Any) -> Twin:
    """The twin of a tf.function; it lives as long as the function."""
    twin = _twins.get(function)
    if twin is None:
        twin = _twins[function] = Twin(function)
    return twin


def compiled_twin_of(function: Any) -> Twin:
    """A twin that keeps compiled what XLA compiles."""
    twin = _compiled_twins.get(function)
    if twin is None:
        twin = _compiled_twins[function] = Twin(function, CompiledRecorder)
    return twin


def first_trace(function: Any, given: Arguments) -> Trace:
    """The trace of a function's twin for these arguments; the function then has its own first trace as well.

    Raises:
      CannotShadow: the function does something that must not happen twice.
    """
    if function._variable_creation_config is None:  # creates its variables, as its first call would
        function.get_concrete_function(*given.args, **given.kwargs)
    twin = twin_of(function)
    trace = twin.trace(given.args, given.kwargs)
    given.captured.update(twin.iterators)
    return trace


def flat_inputs(concrete: Any, arguments: Arguments) -> list[Any]:
    """A concrete function's inputs for these arguments, captured ones last."""
    function_type = concrete.function_type
    bound = function_type.bind(*arguments.args, **arguments.kwargs)
    return [*function_type.unpack_inputs(bound), *concrete.captured_inputs]


def tensor_ids(structure: Any) -> list[int]:
    """Ids of the eager tensors in a structure, flat; -1 for anything else."""
    flat = tf.nest.flatten(structure, expand_composites=True)
    return [t._id if isinstance(t, tf.__internal__.EagerTensor) else -1 for t in flat]


def concrete_of(function: Any, arguments: Arguments) -> Any:
    """The trace that a tf.function uses for these arguments."""
    options = (
        function._no_variable_creation_config if function._created_variables else function._variable_creation_config
    )
    return tracing_compilation.trace_function(arguments.args, arguments.kwargs, options)


def call_for_training(function: Any, arguments: Arguments, host_calls: HostCalls | None = None) -> Any:
    """Makes the training's own call of a tf.function; notes in ``host_calls`` what Python code in it returns."""
    if host_calls is not None:
        with host_calls.recording(tokens_in(concrete_of(function, arguments))):
            return call_for_training(function, arguments)
    if not arguments.captured:
        return call_function(function, *arguments.args, **arguments.kwargs)
    concrete = concrete_of(function, arguments)
    return call_concrete(concrete, flat_inputs(concrete, arguments), arguments.handles())


def call_concrete(concrete: Any, inputs: list[Any], stand_ins: Mapping[int, Any]) -> Any:
    """Calls a concrete function with stand-ins for its variables and the iterators it captures."""
    captured = len(concrete.captured_inputs)
    tensors = replaced(inputs, stand_ins)
    return concrete._call_flat(tensors[: len(tensors) - captured], tensors[len(tensors) - captured :])
