"""What is left unmeasured, with what is said about it. Training must not notice either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.instrument.kinds import WIDTH, Kind, Watching, batch, descend, run
from tests.instrument.kinds.strategies import mirrored_fit, mirrored_iterator


def captured_iterator(watching: Watching) -> Sequence[Any]:
    w = tf.Variable(tf.ones([WIDTH]))
    batches = iter(tf.data.Dataset.from_tensor_slices(np.stack([batch(i) for i in range(16)])))

    @tf.function
    def step() -> Any:
        x = next(batches)
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))
        descend(tape, loss, w)
        return loss

    run(watching, step, lambda i: [])
    return [w]


def python_inside(watching: Watching) -> Sequence[Any]:
    w = tf.Variable(tf.ones([WIDTH]))
    seen: list[float] = []

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))
        tf.py_function(lambda value: seen.append(float(value)), [loss], [])
        descend(tape, loss, w)
        return loss

    run(watching, step)
    return [w, len(seen)]


def queue(watching: Watching) -> Sequence[Any]:
    w = tf.Variable(tf.ones([WIDTH]))
    losses = tf.queue.FIFOQueue(100, [tf.float32])

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))
        losses.enqueue(loss)
        descend(tape, loss, w)
        return loss

    run(watching, step)
    return [w, losses.size()]


def no_tensorflow(watching: Watching) -> Sequence[Any]:
    w = np.ones(WIDTH, np.float32)

    def step(x: Any) -> None:
        w[:] -= 0.01 * x.numpy().mean(0)

    run(watching, step)
    return [w]


_ITERATOR = "it takes its data from an iterator that cannot be read twice, a captured or distributed one"

NOT_COVERED: dict[Kind, str] = {
    captured_iterator: _ITERATOR,
    python_inside: "it runs Python code (tf.py_function or tf.numpy_function)",
    queue: "QueueEnqueueV2 changes a captured resource that cannot be copied",
    mirrored_iterator: _ITERATOR,
    mirrored_fit: _ITERATOR,
    no_tensorflow: "it ran no floating-point op of TensorFlow",
}
