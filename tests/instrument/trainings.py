"""Small real trainings, built anew for each use: the same seed gives the same run, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@dataclass
class Training:
    """A training: call ``step(i)`` for step i; ``variables`` is everything it changes."""

    step: Callable[[int], Any]
    variables: Callable[[], list[Any]]

    def state(self) -> list[bytes]:
        """The bits of every variable."""
        return [np.asarray(v).tobytes() for v in self.variables()]


def _data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(7)
    x = random.rand(64, 8, 4).astype("float32")
    return x, (x.sum((1, 2)) > 16).astype("float32")[:, None]


def _batch(x: np.ndarray, y: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    part = slice(i * 8 % 64, i * 8 % 64 + 8)
    return x[part], y[part]


def keras_training(
    layers: Callable[[], list[Any]], optimizer: Callable[[], Any], policy: str = "float32", **compile_options: Any
) -> Training:
    """A Keras model trained with train_on_batch."""
    keras.utils.set_random_seed(3)
    x, y = _data()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential([keras.Input((8, 4)), *layers()])
    model.compile(optimizer(), "mse", **compile_options)
    keras.config.set_dtype_policy(before)

    return Training(
        lambda i: model.train_on_batch(*_batch(x, y, i)), lambda: [*model.variables, *model.optimizer.variables]
    )


def sgd() -> Training:
    """Dense layers, plain SGD."""
    return keras_training(
        lambda: [keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)],
        lambda: keras.optimizers.SGD(0.05),
    )


def adam() -> Training:
    """Batch normalisation and Adam."""
    return keras_training(
        lambda: [
            keras.layers.Flatten(),
            keras.layers.Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dense(1),
        ],
        lambda: keras.optimizers.Adam(0.01),
    )


def dropout() -> Training:
    """Random numbers in every step."""
    return keras_training(
        lambda: [
            keras.layers.Flatten(),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ],
        lambda: keras.optimizers.Adam(0.01),
    )


def lstm() -> Training:
    """A while loop and its gradient."""
    return keras_training(
        lambda: [keras.layers.LSTM(6), keras.layers.Dense(1)], lambda: keras.optimizers.SGD(0.05, momentum=0.9)
    )


def mixed_float16() -> Training:
    """Loss scaling with skipped steps at the start."""
    return keras_training(
        lambda: [keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)],
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=2.0**24),
        policy="mixed_float16",
    )


def jit() -> Training:
    """The whole step compiled by XLA."""
    return keras_training(
        lambda: [keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)],
        lambda: keras.optimizers.Adam(0.01),
        jit_compile=True,
    )


def custom_loop() -> Training:
    """A tf.function with legacy random ops, nested functions and a variable that is only assigned."""
    tf.keras.utils.set_random_seed(5)
    x, y = _data()
    weights = tf.Variable(tf.random.normal([32, 1]))
    seen = tf.Variable(0.0)

    @tf.function
    def model(a: Any) -> Any:
        return tf.nn.dropout(tf.reshape(a, [-1, 32]), 0.3) @ weights

    @tf.function
    def train(a: Any, b: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(a) - b))
        weights.assign_sub(0.01 * tape.gradient(loss, weights))
        seen.assign_add(1.0)
        return loss

    return Training(lambda i: train(*_batch(x, y, i)), lambda: [weights, seen])


def eager() -> Training:
    """No tf.function at all; random ops with a global seed."""
    tf.keras.utils.set_random_seed(5)
    x, y = _data()
    weights = tf.Variable(tf.random.normal([32, 1]))

    def step(i: int) -> Any:
        a, b = _batch(x, y, i)
        with tf.GradientTape() as tape:
            hidden = tf.nn.dropout(tf.reshape(a, [-1, 32]), 0.3)
            loss = tf.reduce_mean(tf.square(hidden @ weights - b))
        weights.assign_sub(0.01 * tape.gradient(loss, weights))
        return loss

    return Training(step, lambda: [weights])


TRAININGS = {f.__name__: f for f in (sgd, adam, dropout, lstm, mixed_float16, jit, custom_loop, eager)}
