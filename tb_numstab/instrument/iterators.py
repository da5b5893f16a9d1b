"""Feeding one batch to two runs of a step that pulls its own data from a tf.data iterator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def tee_iterators(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Arguments, Arguments]:
    """Arguments for the measured run and for the training run, which sees the same elements.

    Each iterator is replaced by two that share what the first one pulls: the measured run pulls from the
    real iterator one element at a time, the training run gets those elements and then the rest.
    Arguments without iterators are handed on as they are.
    """
    flat = tf.nest.flatten((args, kwargs))
    if not any(isinstance(a, iterator_ops.OwnedIterator) for a in flat):
        return (args, kwargs), (args, kwargs)
    pairs = [_tee(a) if isinstance(a, iterator_ops.OwnedIterator) else (a, a) for a in flat]
    first = tf.nest.pack_sequence_as((args, kwargs), [a for a, _ in pairs])
    second = tf.nest.pack_sequence_as((args, kwargs), [b for _, b in pairs])
    return first, second


def _tee(iterator: Any) -> tuple[Any, Any]:
    pulled: list[Any] = []

    def measured() -> Iterator[Any]:
        for element in iterator:
            pulled.append(element)
            yield element

    def training() -> Iterator[Any]:
        while pulled:
            yield pulled.pop(0)
        yield from iterator

    return _as_iterator(measured, iterator.element_spec), _as_iterator(training, iterator.element_spec)


def _as_iterator(generator: Any, spec: Any) -> Any:
    options = tf.data.Options()
    # Nothing may run ahead: an element pulled early would be lost to the training run.
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    options.autotune.enabled = False
    options.experimental_slack = False
    return iter(tf.data.Dataset.from_generator(generator, output_signature=spec).with_options(options))
