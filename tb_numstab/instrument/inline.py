"""Calls of tf.functions: TensorFlow's own, and those inside a twin's trace."""

from __future__ import annotations

from typing import Any

from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.eager.polymorphic_function import (
    autograph_util,
    function_type_utils,
    polymorphic_function,
)

call_function = polymorphic_function.Function.__call__
"""TensorFlow's own, before any hook."""


def converted(function: Any) -> Any:
    """A tf.function's Python function, as AutoGraph leaves it."""
    if not function._autograph:
        return function._python_function
    return autograph_util.py_func_from_autograph(function._python_function, function._experimental_autograph_options)


def call_inline(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a nested tf.function's Python function in the graph being traced.

    Its ops then share that graph's buckets and each call has its own slots; a function traced before
    the twin is covered like any other.
    """
    bound = function_type_utils.canonicalize_function_inputs(
        args, kwargs, function._function_type, function._default_values, function._is_pure
    )
    status = ag_ctx.Status.ENABLED if function._autograph else ag_ctx.Status.DISABLED
    with ag_ctx.ControlStatusCtx(status=status, options=function._experimental_autograph_options):
        return converted(function)(*bound.args, **bound.kwargs)
