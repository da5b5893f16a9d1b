"""The backward pass of a tf.function whose GradientTape is outside it: TensorFlow makes it one op."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import backprop_util

from tb_numstab.instrument import iterators
from tb_numstab.instrument.iterators import Arguments
from tb_numstab.instrument.twin import concrete_of


@dataclass(frozen=True)
class BackwardPass:
    """One backward pass that the training made.

    Attributes:
      forward: ids of all tensors that came out of the forward pass.
      upstream: what it was given: the gradients of the function's results, and perhaps more.
      gradients: ids of the tensors that came out of it.
    """

    forward: Sequence[int]
    upstream: Sequence[Any]
    gradients: Sequence[int]


def with_backward_pass(
    function: Any, given: Arguments, returned: Sequence[int], passes: Iterable[BackwardPass]
) -> tuple[Any, Arguments, Sequence[int]]:
    """What to measure for a call of a tf.function: the call, with its backward pass if it had one.

    Args:
      function: the tf.function.
      given: the recorded arguments of the call.
      returned: ``tensor_ids`` of its result.
      passes: all backward passes of the step.

    Returns:
      a tf.function that does both, its arguments, and the ids of the training's results.
    """
    for backward in passes:
        if not set(returned).isdisjoint(backward.forward):
            concrete = concrete_of(function, iterators.opened(given))
            results = sum(backprop_util.IsTrainable(t) for t in concrete.outputs)
            both = Arguments((list(backward.upstream[:results]), given.args, given.kwargs), {}, given.captured)
            return _both(function, concrete), both, [*returned, *backward.gradients]
    return function, given, returned


_made: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _both(function: Any, concrete: Any) -> Any:
    """A tf.function that makes a call and differentiates its results, for one trace of the function."""
    if concrete not in _made:
        variables = {id(v.handle): v for v in concrete.variables}
        captured = [variables[id(h)] for h in concrete.captured_inputs if id(h) in variables]

        def both(upstream: Sequence[Any], args: Any, kwargs: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                sources = [*_trainable((args, kwargs)), *captured]  # in the order of TensorFlow's own backward pass
                tape.watch(sources)
                result = function(*args, **kwargs)
            gradients = tape.gradient(_trainable(result), sources, list(upstream))
            return result, [g for g in gradients if g is not None]

        _made[concrete] = tf.function(both, autograph=False)
    return _made[concrete]


def _trainable(structure: Any) -> list[Any]:
    flat = tf.nest.flatten(structure, expand_composites=True)
    return [t for t in flat if tf.is_tensor(t) and backprop_util.IsTrainable(t)]
