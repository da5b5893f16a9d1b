"""Custom loops around tf.functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.instrument.kinds import (
    BAD,
    ROWS,
    WIDTH,
    Kind,
    Watching,
    batch,
    descend,
    log_of_sum,
    ones,
    run,
    training_step,
)


def tf_function(watching: Watching) -> Sequence[Any]:
    w = ones()
    run(watching, tf.function(training_step(log_of_sum(w), w)))
    return [w]


def in_one_function(watching: Watching) -> Sequence[Any]:
    """Forward pass, backward pass and update written out one below the other, as in a tutorial."""
    w = ones()

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))  # origin
        w.assign_sub(0.01 * tape.gradient(loss, w))
        return loss

    run(watching, step)
    return [w]


def nested(watching: Watching) -> Sequence[Any]:
    w = ones()
    run(watching, tf.function(training_step(tf.function(log_of_sum(w)), w)))
    return [w]


def traced_before(watching: Watching) -> Sequence[Any]:
    w = ones()
    step = tf.function(training_step(log_of_sum(w), w))
    step(tf.constant(batch(0)))
    run(watching, step)
    return [w]


def new_shapes(watching: Watching) -> Sequence[Any]:
    w = ones()
    step = tf.function(training_step(log_of_sum(w), w))
    run(watching, step, lambda i: [tf.constant(batch(i, rows=4 + i))])
    return [w]


def reduce_retracing(watching: Watching) -> Sequence[Any]:
    w = ones()
    step = tf.function(training_step(log_of_sum(w), w), reduce_retracing=True)
    run(watching, step, lambda i: [tf.constant(batch(i, rows=4 + i))])
    return [w]


def input_signature(watching: Watching) -> Sequence[Any]:
    w = ones()
    step = tf.function(training_step(log_of_sum(w), w), input_signature=[tf.TensorSpec(None, tf.float32)])
    run(watching, step, lambda i: [batch(i, rows=4 + i)])
    return [w]


def jit_compiled(watching: Watching) -> Sequence[Any]:
    w = ones()
    run(watching, tf.function(training_step(log_of_sum(w), w), jit_compile=True))
    return [w]


def angles() -> tuple[Any, Any]:
    """Two angles, float32 [1]: XLA takes the root of a negative number of the second one only."""

    def root(angle: Any) -> Any:
        return tf.sqrt(1.0 - tf.sin(angle) * tf.sin(angle) - tf.cos(angle) * tf.cos(angle))

    many = tf.random.stateless_normal([100_000], [1, 2]) * 10
    finite = tf.math.is_finite(root(many))
    fails = tf.math.is_nan(tf.function(root, jit_compile=True)(many))
    return tf.boolean_mask(many, finite & ~fails)[:1], tf.boolean_mask(many, finite & fails)[:1]


def jit_only(watching: Watching) -> Sequence[Any]:
    """XLA multiplies and subtracts in one rounding, and lands below zero where op by op nothing is left."""
    w = ones()

    def loss(x: Any, angle: Any) -> Any:
        zero = 1.0 - tf.sin(angle) * tf.sin(angle) - tf.cos(angle) * tf.cos(angle)
        return tf.reduce_mean(x * w) + tf.reduce_sum(tf.stop_gradient(tf.sqrt(zero)))  # origin

    good, bad = angles()
    step = tf.function(training_step(loss, w), jit_compile=True)
    run(watching, step, lambda i: [tf.constant(batch(i)), bad if i == BAD else good])
    return [w]


def jit_forbidden(watching: Watching) -> Sequence[Any]:
    w = ones()
    run(watching, tf.function(training_step(log_of_sum(w), w), jit_compile=False))
    return [w]


def module(watching: Watching) -> Sequence[Any]:
    class Model(tf.Module):  # type: ignore[misc]  # TensorFlow is untyped
        def __init__(self) -> None:
            self.w = tf.Variable(tf.ones([WIDTH]))

        @tf.function
        def __call__(self, x: Any) -> Any:
            return tf.math.log(tf.reduce_sum(x * self.w, 1))  # origin

        @tf.function
        def train(self, x: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self(x))
            descend(tape, loss, *self.trainable_variables)
            return loss

    model = Model()
    run(watching, model.train)
    return list(model.variables)


def accumulation(watching: Watching) -> Sequence[Any]:
    """Gradients are summed over two calls, then applied by another function."""
    w = ones()
    total = tf.Variable(tf.zeros([WIDTH]), trainable=False)
    loss = log_of_sum(w)

    @tf.function
    def accumulate(x: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(x)
        total.assign_add(tape.gradient(value, w))
        return value

    @tf.function
    def apply() -> None:
        w.assign_sub(0.01 * total)
        total.assign(tf.zeros_like(total))

    def step(x: Any) -> None:
        for part in tf.split(x, 2):
            accumulate(part)
        apply()

    run(watching, step)
    return [w, total]


def gan(watching: Watching) -> Sequence[Any]:
    """Two functions a step, which update different variables."""
    generator, critic = ones(), ones()

    def critic_loss(x: Any) -> Any:
        return -tf.reduce_mean(tf.tanh(x * critic))

    def generator_loss(x: Any) -> Any:
        return -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * generator * critic, 1)))  # origin

    train_critic = tf.function(training_step(critic_loss, critic))
    train_generator = tf.function(training_step(generator_loss, generator))

    def step(x: Any) -> None:
        train_critic(x)
        train_generator(x)

    run(watching, step)
    return [generator, critic]


def learning_rate_changed(watching: Watching) -> Sequence[Any]:
    w, rate = ones(), tf.Variable(0.01, trainable=False)
    loss = log_of_sum(w)

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(x)
        w.assign_sub(rate * tape.gradient(value, w))
        return value

    def arguments(i: int) -> Sequence[Any]:
        rate.assign(0.01 / (i + 1))
        return [tf.constant(batch(i))]

    run(watching, step, arguments)
    return [w]


def buffer_used_again(watching: Watching) -> Sequence[Any]:
    w, buffer = ones(), np.empty([ROWS, WIDTH], np.float32)

    def arguments(i: int) -> Sequence[Any]:
        buffer[:] = batch(i)
        return [buffer]

    run(watching, tf.function(training_step(log_of_sum(w), w)), arguments)
    return [w]


def variables_as_arguments(watching: Watching) -> Sequence[Any]:
    """One trace trains two variables in turn."""
    pair = [ones(), tf.Variable(tf.fill([WIDTH], 2.0))]

    @tf.function
    def step(x: Any, weights: tf.Variable) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * weights, 1)))  # origin
        descend(tape, loss, weights)
        return loss

    run(watching, step, lambda i: [tf.constant(batch(i)), pair[i % 2]])
    return pair


KINDS: tuple[Kind, ...] = (
    tf_function,
    in_one_function,
    nested,
    traced_before,
    new_shapes,
    reduce_retracing,
    input_signature,
    jit_compiled,
    jit_only,
    jit_forbidden,
    module,
    accumulation,
    gan,
    learning_rate_changed,
    buffer_used_again,
    variables_as_arguments,
)
