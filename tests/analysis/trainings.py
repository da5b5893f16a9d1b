"""Small Keras trainings under watch: something is wrong with each, or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tb_numstab
from tb_numstab.analysis.finding import Finding

Layers = Callable[[], Sequence[Any]]


def train(
    layers: Layers,
    optimizer: Any = None,
    loss: Any = "mse",
    steps: int = 12,
    scale: Callable[[int], float] = lambda step: 1.0,
    policy: str = "float32",
) -> dict[str, Finding]:
    """Findings by rule after some steps; ``scale`` multiplies the inputs of each."""
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((8,)), *layers()])
        model.compile(optimizer or keras.optimizers.SGD(0.01), loss)
    finally:
        keras.config.set_dtype_policy("float32")
    random = np.random.default_rng(0)

    def step(i: int) -> None:
        x = random.normal(size=(16, 8)).astype("float32")
        model.train_on_batch(x * np.float32(scale(i)), np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3]))

    return watched(step, steps)


def watched(step: Callable[[int], Any], steps: int, every: int | str = 1) -> dict[str, Finding]:
    """Findings by rule after some steps, each given its number."""
    watched_step = tb_numstab.watch(every=every)(step)
    with tempfile.TemporaryDirectory() as logdir, tf.summary.create_file_writer(logdir).as_default():
        for i in range(steps):
            watched_step(i)
            health = tb_numstab.log_step(i)
    return {finding.rule: finding for finding in health.findings}


def behind(function: Callable[[Any], Any]) -> Layers:
    """One linear unit behind a function of the inputs."""
    return lambda: [keras.layers.Lambda(function), keras.layers.Dense(1)]


def dense(*units: int, activation: str = "relu", kernels: Any = "he_normal", last: Any = "he_normal") -> Layers:
    """Dense layers of these widths with an activation, and one linear unit behind them."""

    def layers() -> Sequence[Any]:
        hidden = [keras.layers.Dense(n, activation, kernel_initializer=_new(kernels)) for n in units]
        return [*hidden, keras.layers.Dense(1, kernel_initializer=_new(last))]

    return layers


def _new(initializer: Any) -> Any:
    return initializer() if callable(initializer) else initializer


def normal(stddev: float) -> Callable[[], Any]:
    """Kernels of normal numbers, whatever the number of inputs."""
    return lambda: keras.initializers.RandomNormal(stddev=stddev)


def normalised(epsilon: float) -> Layers:
    """A layer normalisation of the inputs."""
    return lambda: [keras.layers.LayerNormalization(epsilon=epsilon), keras.layers.Dense(1)]


def batch_normalised() -> Sequence[Any]:
    """A batch normalisation whose averages follow quickly."""
    return [keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)]


def steep(y: Any, predicted: Any) -> Any:
    """A loss whose gradient leaves float16, also when it is scaled down a little."""
    return 1e12 * tf.reduce_mean(tf.cast(predicted, tf.float32))


def scaled_by_hand(scale: float, skip: str = "cond") -> dict[str, Finding]:
    """Findings about a loss with a fixed scale; a step with a gradient that is not finite changes nothing.

    Args:
      scale: what the loss is multiplied by; the gradient of the float16 product overflows from about 2^17 on.
      skip: "cond" leaves the update out, "zero" makes the change 0, "old" assigns the old value.
    """
    x = tf.constant(np.random.default_rng(0).normal(size=(16, 8)), tf.float16)
    w = tf.Variable(tf.ones([8, 1]))

    @tf.function
    def train() -> None:
        with tf.GradientTape() as tape:
            product = tf.cast(tf.matmul(x, tf.cast(w, tf.float16)), tf.float32)
            loss = scale * tf.reduce_mean(tf.square(product))
        change = 0.01 * tape.gradient(loss, w) / scale
        finite = tf.reduce_all(tf.math.is_finite(change))
        if skip == "zero":
            w.assign_sub(tf.where(finite, change, 0.0))
        elif skip == "old":
            w.assign(tf.where(finite, w - change, w))
        elif finite:
            w.assign_sub(change)

    return watched(lambda i: train(), steps=30)


def outliers(step: int) -> float:
    """Two batches a hundred times as large as the others."""
    return 100.0 if step in (26, 28) else 1.0
