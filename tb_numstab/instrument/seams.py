"""The two places in TensorFlow, besides op callbacks, where a recorder listens while it is at work.

Both are module-level functions of TensorFlow, replaced only as long as some recorder needs them; threads
without a recorder get the original behaviour.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tensorflow.python.eager import context as tf_context
from tensorflow.python.framework import func_graph, ops, registry
from tensorflow.python.util import tf_decorator


class Listener(ABC):
    """What is told of gradients and graphs while its ``_on_op`` is an op callback of the thread."""

    @abstractmethod
    def gradient_of(self, op: Any) -> AbstractContextManager[None]:
        """Entered while the gradient of ``op`` is being built."""

    def close_graph(self, graph: Any) -> None:  # noqa: B027 - eager ops have no graph to close
        """Called inside a nested graph (a loop body, a branch) when its last op was created."""


def current_listener() -> Listener | None:
    """The listener at work in this thread (or in the replica thread that inherited its callback)."""
    for callback in reversed(tf_context.context().op_callbacks):
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, Listener):
            return owner
    return None


_lookup = registry.Registry.lookup
_func_graph_from_py_func = func_graph.func_graph_from_py_func
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
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                registry.Registry.lookup = _lookup
                func_graph.func_graph_from_py_func = _func_graph_from_py_func


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
