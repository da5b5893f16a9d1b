"""Steps, or parts of steps, outside any tf.function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tests.instrument.kinds import WIDTH, Kind, Watching, log_of_sum, ones, run, training_step


def eager_loop(watching: Watching) -> Sequence[Any]:
    w = tf.Variable(tf.ones([WIDTH, 1]))

    def loss(x: Any) -> Any:
        return -tf.reduce_mean(tf.math.log(x @ w))  # origin

    run(watching, training_step(loss, w))
    return [w]


def eager_in_backpropagation(watching: Watching) -> Sequence[Any]:
    """The loss stays finite; the gradient of the square root at zero does not. The step returns no tensor."""
    w = ones()

    def loss(x: Any) -> Any:
        return tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(x * w), 1)))  # origin

    step = training_step(loss, w)
    run(watching, lambda x: float(step(x)))
    return [w]


def functions_run_eagerly(watching: Watching) -> Sequence[Any]:
    w = ones()
    step = tf.function(training_step(log_of_sum(w), w))
    tf.config.run_functions_eagerly(True)
    try:
        run(watching, step)
    finally:
        tf.config.run_functions_eagerly(False)
    return [w]


def eager_update(watching: Watching) -> Sequence[Any]:
    """A function gives the gradient, eager code applies it."""
    w = ones()
    loss = log_of_sum(w)

    @tf.function
    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(x)
        return tape.gradient(value, w)

    def step(x: Any) -> None:
        w.assign_sub(0.01 * gradient(x))

    run(watching, step)
    return [w]


def eager_loss(watching: Watching) -> Sequence[Any]:
    """The model is a function; loss, tape and update are eager."""
    w = ones()

    @tf.function
    def model(x: Any) -> Any:
        return tf.reduce_sum(x * w, 1)

    def loss(x: Any) -> Any:
        return -tf.reduce_mean(tf.math.log(model(x)))  # origin

    run(watching, training_step(loss, w))
    return [w]


def tape_around_function(watching: Watching) -> Sequence[Any]:
    """The loss is a function; tape and update are eager."""
    w = ones()
    run(watching, training_step(tf.function(log_of_sum(w)), w))
    return [w]


def backward_pass_of_function(watching: Watching) -> Sequence[Any]:
    """Two functions under one tape; what goes wrong is in the backward pass of the first."""
    w, v = ones(), ones()

    @tf.function
    def model(x: Any) -> Any:
        return tf.sqrt(tf.reduce_sum(tf.square(x * w), 1))  # origin

    @tf.function
    def loss_of(p: Any) -> Any:
        return tf.reduce_mean(p) + tf.reduce_sum(tf.square(v))

    run(watching, training_step(lambda x: loss_of(model(x)), v, w))
    return [w, v]


KINDS: tuple[Kind, ...] = (
    eager_loop,
    eager_in_backpropagation,
    functions_run_eagerly,
    eager_update,
    eager_loss,
    tape_around_function,
    backward_pass_of_function,
)
