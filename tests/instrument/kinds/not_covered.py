"""What is left unmeasured, with what is said about it. Training must not notice either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.instrument.kinds import ROWS, WIDTH, Kind, Watching, batch, log_of_sum, ones, run, training_step


def queue(watching: Watching) -> Sequence[Any]:
    w = ones()
    losses = tf.queue.FIFOQueue(100, [tf.float32])
    train = training_step(log_of_sum(w), w)

    @tf.function
    def step(x: Any) -> Any:
        loss = train(x)
        losses.enqueue(loss)
        return loss

    run(watching, step)
    return [w, losses.size()]


def table_in_graph(watching: Watching) -> Sequence[Any]:
    """What changes it is in a graph that the step calls, inside a branch."""
    w, table = ones(), tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)
    key = tf.constant([7], tf.int64)

    @tf.function
    def count(x: Any) -> Any:
        if tf.reduce_sum(x) > 0.0:
            table.insert(key, table.lookup(key) + 1)
        return x * w

    graph = count.get_concrete_function(tf.TensorSpec([None, WIDTH]))
    run(watching, tf.function(training_step(lambda x: -tf.reduce_mean(tf.math.log(tf.reduce_sum(graph(x), 1))), w)))
    return [w, table.lookup(key)]


def bare_handle(watching: Watching) -> Sequence[Any]:
    """Nobody can tell whose handle it is."""
    w = ones()
    batches = iter(tf.data.Dataset.from_tensor_slices(np.stack([batch(i) for i in range(16)])))
    handle, train = batches._iterator_resource, training_step(log_of_sum(w), w)

    @tf.function
    def step() -> Any:
        (x,) = tf.raw_ops.IteratorGetNext(iterator=handle, output_types=[tf.float32], output_shapes=[[ROWS, WIDTH]])
        return train(x)

    run(watching, step, lambda i: [])
    return [w]


def no_tensorflow(watching: Watching) -> Sequence[Any]:
    w = np.ones(WIDTH, np.float32)

    def step(x: Any) -> None:
        w[:] -= 0.01 * x.numpy().mean(0)

    run(watching, step)
    return [w]


def shuffled_dataset(watching: Watching) -> Sequence[Any]:
    """One more pass over it would give the next epoch another order."""
    w = ones()
    data = tf.data.Dataset.from_tensor_slices(np.concatenate([batch(6), batch(7)])).shuffle(16, seed=1).batch(8)
    train = training_step(log_of_sum(w), w)

    @tf.function
    def epoch() -> Any:
        total = 0.0
        for x in data:
            total += train(x)
        return total

    run(watching, epoch, lambda i: [])
    return [w]


def random_dataset_as_argument(watching: Watching) -> Sequence[Any]:
    """Its random numbers go on where the last pass ended."""
    w, generator = ones(), tf.random.Generator.from_seed(1)
    data = tf.data.Dataset.from_tensor_slices(batch(6)).map(lambda x: x + generator.uniform([WIDTH])).batch(8)
    train = training_step(log_of_sum(w), w)

    @tf.function
    def epoch(batches: Any) -> Any:
        total = 0.0
        for x in batches:
            total += train(x)
        return total

    run(watching, epoch, lambda i: [data])
    return [w, generator.state]


def watch_inside_function(watching: Watching) -> Sequence[Any]:
    """The two decorators in the wrong order."""
    w = ones()
    step = tf.function(watching.watch(training_step(log_of_sum(w), w)))
    for i in range(3):
        step(tf.constant(batch(i)))
        watching.log(i)
    return [w]


NOT_COVERED: dict[Kind, str] = {
    bare_handle: "it captures an iterator that cannot be read twice",
    table_in_graph: "LookupTableInsertV2 changes a captured resource that cannot be copied",
    queue: "QueueEnqueueV2 changes a captured resource that cannot be copied",
    shuffled_dataset: "it goes through a dataset that gives other elements each time",
    random_dataset_as_argument: "it goes through a dataset that gives other elements each time",
    watch_inside_function: "it is called inside a tf.function; put watch around that one",
    no_tensorflow: "it ran no floating-point op of TensorFlow",
}
