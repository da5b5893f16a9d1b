"""Custom loops around a tf.function that does something special inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.instrument.kinds import ROWS, WIDTH, Kind, Watching, batch, log_of_sum, ones, run, training_step


def custom_gradient(watching: Watching) -> Sequence[Any]:
    w = ones()

    @tf.custom_gradient
    def score(p: Any) -> Any:
        def backward(upstream: Any) -> Any:
            return upstream / p  # origin

        return tf.math.log(tf.maximum(p, 1e-6)), backward

    def loss(x: Any) -> Any:
        return -tf.reduce_mean(score(tf.reduce_sum(x * w, 1)))

    run(watching, tf.function(training_step(loss, w)))
    return [w]


def recompute_grad(watching: Watching) -> Sequence[Any]:
    w = ones()
    run(watching, tf.function(training_step(tf.recompute_grad(log_of_sum(w)), w)))
    return [w]


def ragged(watching: Watching) -> Sequence[Any]:
    w = tf.Variable(1.0)
    lengths = [1 + i % WIDTH for i in range(ROWS)]
    step = tf.function(training_step(log_of_sum(w), w))
    run(watching, step, lambda i: [tf.RaggedTensor.from_tensor(batch(i), lengths=lengths)])
    return [w]


def sparse(watching: Watching) -> Sequence[Any]:
    """An embedding: its gradient is an IndexedSlices, its update a scatter."""
    table = tf.Variable(tf.ones([ROWS, WIDTH]))

    @tf.function
    def step(x: Any, rows: Any) -> Any:
        with tf.GradientTape() as tape:
            p = tf.reduce_sum(x * tf.nn.embedding_lookup(table, rows), 1)
            loss = -tf.reduce_mean(tf.math.log(p))  # origin
        gradient = tape.gradient(loss, table)
        table.scatter_sub(tf.IndexedSlices(0.01 * gradient.values, gradient.indices))
        return loss

    run(watching, step, lambda i: [tf.constant(batch(i)), tf.constant([0, 1, 2, 3, 3, 2, 1, 0])])
    return [table]


def dataset_iterator(watching: Watching) -> Sequence[Any]:
    """The function takes its batches from an iterator by itself."""
    w = ones()
    batches = iter(tf.data.Dataset.from_tensor_slices(np.stack([batch(i) for i in range(16)])).prefetch(2))
    train = training_step(log_of_sum(w), w)
    run(watching, tf.function(lambda iterator: train(next(iterator))), lambda i: [batches])
    return [w]


def captured_iterator(watching: Watching) -> Sequence[Any]:
    """The same, and nobody tells it which."""
    w = ones()
    batches = iter(tf.data.Dataset.from_tensor_slices(np.stack([batch(i) for i in range(16)])))
    train = training_step(log_of_sum(w), w)
    run(watching, tf.function(lambda: train(next(batches))), lambda i: [])
    return [w]


def vectorized_map(watching: Watching) -> Sequence[Any]:
    """A loop over the rows, of which no run is ever made."""
    w = ones()

    def score(row: Any) -> Any:
        return tf.math.log(tf.reduce_sum(row * w * tf.exp(w)))  # origin

    step = training_step(lambda x: -tf.reduce_mean(tf.vectorized_map(score, x)), w)
    run(watching, tf.function(step))
    return [w]


def jacobian(watching: Watching) -> Sequence[Any]:
    """What is looped over is backpropagation."""
    w = ones()

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            p = tf.sqrt(tf.reduce_sum(tf.square(x * w), 1))  # origin
        w.assign_sub(0.01 * tf.reduce_mean(tape.jacobian(p, w), 0))
        return tf.reduce_mean(p)

    run(watching, step)
    return [w]


def per_example_gradients(watching: Watching) -> Sequence[Any]:
    """Backpropagation inside the loop, in a function of its own, with a loop inside."""
    w = ones()

    @tf.function
    def gradient(row: Any) -> Any:
        with tf.GradientTape() as tape:
            p = tf.ones([])
            for _ in tf.range(2):
                p += tf.sqrt(tf.reduce_sum(tf.square(row * w)))  # origin
        return tape.gradient(p, w)

    @tf.function
    def step(x: Any) -> None:
        w.assign_sub(0.01 * tf.reduce_mean(tf.vectorized_map(gradient, x), 0))

    run(watching, step)
    return [w]


def python_inside(watching: Watching) -> Sequence[Any]:
    """Python code looks at the rows and scales the loss; it runs once a step, whatever is measured."""
    w = ones()
    seen: list[float] = []

    def scale(p: Any) -> Any:
        seen.append(float(p[0]))
        return np.float32(1.0 + 0.01 * len(seen))

    def loss(x: Any) -> Any:
        p = tf.reduce_sum(x * w, 1)
        factor = tf.numpy_function(scale, [tf.stop_gradient(p)], tf.float32)
        return -tf.reduce_mean(tf.math.log(p)) * factor  # origin

    train = training_step(loss, w)

    @tf.function
    def step(x: Any) -> Any:
        value = train(x)
        tf.py_function(lambda v: seen.append(float(v)), [value], [])
        return value

    run(watching, step)
    return [w, seen]


def python_differentiated(watching: Watching) -> Sequence[Any]:
    """Its gradient is Python code too, and both are in a loop."""
    w = ones()

    def loss(x: Any) -> Any:
        total = 0.0
        for _ in tf.range(1):
            p = tf.py_function(lambda a: tf.reduce_sum(tf.square(a), 1), [x * w], tf.float32)
            total += tf.reduce_sum(tf.sqrt(p))  # origin
        return total

    run(watching, tf.function(training_step(loss, w)))
    return [w]


KINDS: tuple[Kind, ...] = (
    custom_gradient,
    recompute_grad,
    ragged,
    sparse,
    dataset_iterator,
    captured_iterator,
    vectorized_map,
    jacobian,
    per_example_gradients,
    python_inside,
    python_differentiated,
)
