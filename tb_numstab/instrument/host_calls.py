"""Python code inside a tf.function: it runs in the training only, and any second run is given what it returned."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tensorflow.python.ops import script_ops

from tb_numstab.instrument.op_types import HOST_CODE

_registry_call = script_ops.FuncRegistry.__call__
_handlers: dict[str, Callable[[Callable[[], Any]], Any]] = {}
"""What to do instead of calling the function registered under a token."""


class HostCalls:
    """What the Python code of one run returned, in order.

    Two traces of one function register the same code under tokens of their own; it is known by the code.
    """

    def __init__(self) -> None:
        self._returned: dict[Any, list[Any]] = defaultdict(list)

    @contextmanager
    def recording(self, tokens: Iterable[str]) -> Iterator[None]:
        """Notes what the functions under these tokens return inside the block."""

        def note(code: Any, call: Callable[[], Any]) -> Any:
            result = call()
            self._returned[code].append(_kept(result))
            return result

        with _handling({token: functools.partial(note, _code(token)) for token in tokens}):
            yield

    @contextmanager
    def replaying(self, tokens: Iterable[str]) -> Iterator[None]:
        """Inside the block the functions under these tokens are not called; what was noted is returned instead."""
        left = {code: deque(results) for code, results in self._returned.items()}

        def give(code: Any, call: Callable[[], Any]) -> Any:
            del call
            return left[code].popleft()

        with _handling({token: functools.partial(give, _code(token)) for token in tokens}):
            yield


def token_of(op: Any) -> str:
    """The token of an op that calls Python."""
    return str(op.get_attr("token").decode())


def token_in(node: Any) -> str:
    """The same, of a node in a graph's definition."""
    return str(node.attr["token"].s.decode())


_tokens: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()


def tokens_in(concrete: Any) -> set[str]:
    """The tokens of all ops that call Python in a trace and in the functions it calls."""
    if concrete not in _tokens:
        graph = concrete.graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        _tokens[concrete] = {token_in(node) for node in nodes if node.op in HOST_CODE}
    return _tokens[concrete]


@contextmanager
def _handling(handlers: dict[str, Callable[[Callable[[], Any]], Any]]) -> Iterator[None]:
    script_ops.FuncRegistry.__call__ = _call
    _handlers.update(handlers)
    try:
        yield
    finally:
        for token in handlers:
            _handlers.pop(token, None)


def _call(self: Any, token: str, device: Any, args: Any) -> Any:
    call = functools.partial(_registry_call, self, token, device, args)
    handler = _handlers.get(token)
    return call() if handler is None else handler(call)


def _code(token: str) -> Any:
    function = script_ops._py_funcs.get(token)
    function = inspect.unwrap(getattr(function, "_func", function))
    return getattr(function, "__code__", function)


def _kept(result: Any) -> Any:
    """A result that stays what it is: the user may fill the same array again."""
    if isinstance(result, (list, tuple)):
        return [_kept(part) for part in result]
    return result.copy() if isinstance(result, np.ndarray) else result
