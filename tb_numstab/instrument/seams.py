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

from tensorflow.python.eager import context as tf_context
from tensorflow.python.framework import func_graph, ops, registry
from tensorflow.python.ops.parallel_for import control_flow_ops, pfor
from tensorflow.python.util import tf_decorator


class Listener(ABC):
    """What is told of gradients and graphs while its ``_on_op`` is an op callback of the thread."""

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

    def vectorized(self, op: Any) -> None:  # noqa: B027
        """Called after such an op was created: op callbacks do not hear of it."""


def current_listener() -> Listener | None:
    """The listener at work in this thread (or in the replica thread that inherited its callback)."""
    for callback in reversed(tf_context.context().op_callbacks):
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, Listener):
            return owner
    return None


_lookup = registry.Registry.lookup
_func_graph_from_py_func = func_graph.func_graph_from_py_func
_pfor_impl = control_flow_ops._pfor_impl
_pfor_init = pfor.PFor.__init__
_create_op = pfor._create_op
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


def _announce_gradient(self: Any, name: str) -> Any:
    """Tapes and graph gradients alike look their gradient functions up in one registry."""
    function = _lookup(self, name)
    listener = current_listener() if self is ops._gradient_registry else None
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
        listener.vectorized(op)
    return op
