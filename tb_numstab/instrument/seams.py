"""The places in TensorFlow, besides op callbacks, where a recorder listens while it is at work.

They are functions of TensorFlow, replaced only as long as some recorder needs them; threads without a
recorder get the original behaviour.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from tensorflow.python.eager.context import context as tf_context
from tensorflow.python.eager.polymorphic_function import concrete_function, tracing_compilation
from tensorflow.python.framework import func_graph, ops, registry
from tensorflow.python.framework.ops import _gradient_registry
from tensorflow.python.ops import control_flow_ops as graph_ops
from tensorflow.python.ops import gen_logging_ops
from tensorflow.python.ops.parallel_for import control_flow_ops, pfor
from tensorflow.python.util import nest, tf_decorator


class Listener(ABC):
    """What is told of gradients and graphs while its ``_on_op`` is an op callback of the thread.

    Attributes:
      traces_twin: whether the graphs that it is told of are those of a measured run, not of the training.
    """

    traces_twin = False

    @abstractmethod
    def gradient_of(self, op: Any) -> AbstractContextManager[None]:
        """Entered while the gradient of ``op`` is being built."""

    # What eager ops know nothing of.

    def close_graph(self, graph: Any) -> None:  # noqa: B027
        """Called inside a nested graph (a loop body, a branch) when its last op was created."""

    def outline(self) -> AbstractContextManager[None]:
        """Entered while a loop is vectorized; its body is traced first, as an outline that never runs."""
        return nullcontext()

    def vectorize(self) -> None:  # noqa: B027
        """Called when the body was traced, before the ops are created that run instead of it."""

    def created(self, op: Any) -> None:  # noqa: B027
        """Called after an op was created that op callbacks do not hear of."""

    def unrecorded(self) -> AbstractContextManager[None]:
        """Entered while ops are created that are not the step's own."""
        return nullcontext()


def current_listener() -> Listener | None:
    """The listener at work in this thread (or in the replica thread that inherited its callback)."""
    for callback in reversed(tf_context().op_callbacks):
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, Listener):
            return owner
    return None


_lookup = registry.Registry.lookup
_func_graph_from_py_func = func_graph.func_graph_from_py_func
_pfor_impl = control_flow_ops._pfor_impl
_pfor_init = pfor.PFor.__init__
_create_op = pfor._create_op
_call_flat = concrete_function.ConcreteFunction._call_flat
_call_function = tracing_compilation.call_function
_print = gen_logging_ops.print_v2
current_listener()  # what this TensorFlow lacks must show now, not in a training
_lock = threading.Lock()
_users = 0


@contextmanager
def listening() -> Iterator[None]:
    """Keeps the seams in place inside the block."""
    global _users
    with _lock:
        _users += 1
        registry.Registry.lookup = _announce_gradient
        func_graph.func_graph_from_py_func = _announce_end
        control_flow_ops._pfor_impl = _announce_outline
        pfor.PFor.__init__ = _announce_vectorizing
        pfor._create_op = _announce_vectorized
        concrete_function.ConcreteFunction._call_flat = _announce_call
        tracing_compilation.call_function = _announce_derivative
        gen_logging_ops.print_v2 = _print_once
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                registry.Registry.lookup = _lookup
                func_graph.func_graph_from_py_func = _func_graph_from_py_func
                control_flow_ops._pfor_impl = _pfor_impl
                pfor.PFor.__init__ = _pfor_init
                pfor._create_op = _create_op
                concrete_function.ConcreteFunction._call_flat = _call_flat
                tracing_compilation.call_function = _call_function
                gen_logging_ops.print_v2 = _print


def _announce_gradient(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Tapes and graph gradients alike look their gradient functions up in one registry."""
    function = _lookup(self, *args, **kwargs)
    listener = current_listener() if self is _gradient_registry else None
    if function is None or listener is None:
        return function

    def differentiate(op: Any, *grads: Any) -> Any:
        with listener.gradient_of(op):
            return function(op, *grads)

    return differentiate


def _announce_end(name: str, python_func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Loop bodies, branches and their gradients are all traced by this one function."""
    listener = current_listener()
    if listener is None:
        return _func_graph_from_py_func(name, python_func, *args, **kwargs)

    def traced(*inputs: Any, **named: Any) -> Any:
        result = python_func(*inputs, **named)
        listener.close_graph(ops.get_default_graph())
        return result

    return _func_graph_from_py_func(name, tf_decorator.make_decorator(python_func, traced), *args, **kwargs)


def _announce_outline(*args: Any, **kwargs: Any) -> Any:
    """vectorized_map, jacobian and batch_jacobian all come by here."""
    listener = current_listener()
    with nullcontext() if listener is None else listener.outline():
        return _pfor_impl(*args, **kwargs)


def _announce_vectorizing(self: Any, *args: Any, **kwargs: Any) -> None:
    listener = current_listener()
    if listener is not None:
        listener.vectorize()
    _pfor_init(self, *args, **kwargs)


def _announce_vectorized(*args: Any, **kwargs: Any) -> Any:
    op = _create_op(*args, **kwargs)
    listener = current_listener()
    if listener is not None:
        listener.created(op)
    return op


def _announce_call(self: Any, *args: Any, **kwargs: Any) -> Any:
    """A concrete function that is called in a graph, one of a SavedModel for instance, is an op there.

    What TensorFlow traces on the way, to differentiate it, is kept for whoever calls it next.
    """
    listener = current_listener()
    if listener is None or not listener.traces_twin:
        return _call_flat(self, *args, **kwargs)
    with listener.unrecorded():
        result = _call_flat(self, *args, **kwargs)
    for op in {t.op.name: t.op for t in nest.flatten(result, expand_composites=True) if hasattr(t, "op")}.values():
        listener.created(op)
    return result


def _announce_derivative(*args: Any, **kwargs: Any) -> Any:
    """ForwardAccumulator differentiates each op in a function that it keeps for the next such op, in any graph."""
    listener = current_listener()
    if listener is not None and listener.traces_twin:
        with listener.unrecorded():
            tracing_compilation.trace_function(*args, **kwargs)
    return _call_function(*args, **kwargs)


def _print_once(*args: Any, **kwargs: Any) -> Any:
    """What a step prints, its measured run does not print again."""
    listener = current_listener()
    twin = listener is not None and listener.traces_twin
    return graph_ops.no_op() if twin else _print(*args, **kwargs)
