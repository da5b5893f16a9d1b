# Source: tensorflow/tensorflow#3290, google/flax#1491
# Variance as E[x^2] - E[x]^2 comes out negative, its root is NaN.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="onepass_std_negative",
    buggy=True,
    kind="sqrt-negative",
    origin_op_type="Sqrt|Sub",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#3290; google/flax#1491",
    steps=60,
    style="keras-fit",
)


class Standardise(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def call(self, x: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(x, 0)
        std = tf.sqrt(tf.reduce_mean(x * x, 0) - mean * mean)  # BUG
        return (x - mean) / (std + 1e-3)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    noise = r.randn(1200, 4)
    drift = np.repeat(np.geomspace(20, 20000, 60), 20)[:, None]  # the sensor's offset creeps up
    x = (drift + 0.5 * noise).astype("float32")
    y = noise[:, :1].astype("float32")
    model = keras.Sequential(
        [keras.Input((4,)), Standardise(), keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(5e-3), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
