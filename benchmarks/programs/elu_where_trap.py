# Source: tensorflow/tensorflow#2540 (select(x > 0, 0, exp(x)): NaN gradient at large x)
# ELU written with tf.where.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="elu_where_trap",
    buggy=True,
    kind="where-grad-trap",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#2540",
    steps=80,
    style="keras custom layer",
)


class SELU(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def call(self, x: tf.Tensor) -> tf.Tensor:
        below = 1.6733 * (tf.exp(x) - 1.0)  # BUG
        return 1.0507 * tf.where(x > 0.0, x, below)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    gain = np.repeat(np.geomspace(1, 400, 80), 20)[:, None]  # someone turns the volume up
    x = (gain * r.randn(1600, 6)).astype("float32")
    y = np.sign(x[:, :1]).astype("float32")
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(16), SELU(), keras.layers.Dense(1, "tanh")])
    model.compile(keras.optimizers.Adam(1e-3), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
