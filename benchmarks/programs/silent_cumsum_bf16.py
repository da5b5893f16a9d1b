# Source: tensorflow/tensorflow#115731, numpy/numpy#24443
# A bfloat16 running sum of ones stops at 256.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="silent_cumsum_bf16",
    buggy=True,
    kind="silent-stagnation",
    origin_op_type="Cumsum",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#115731; numpy/numpy#24443",
    steps=40,
    style="bfloat16",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    real = (r.rand(400, 700) < 0.97).astype("float32")  # 1 where there is a token
    y = (np.cumsum(real, 1)[:, -1:] / 700).astype("float32")
    freq = tf.Variable(tf.constant([0.001, 0.002, 0.004, 0.008]))
    w = tf.Variable(r.normal(0, 0.3, (8, 1)).astype("float32"))

    @tf.function
    def train(mask: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            position = tf.cumsum(tf.cast(mask, tf.bfloat16), axis=1)  # BUG
            angle = tf.cast(position, tf.float32)[:, -1:] * freq
            loss = tf.reduce_mean(tf.square(tf.concat([tf.sin(angle), tf.cos(angle)], 1) @ w - t))
        w.assign_sub(0.05 * tape.gradient(loss, w))
        return loss, tf.reduce_max(position)

    def step(i: int) -> dict[str, float]:
        s = slice((i * 10) % 400, (i * 10) % 400 + 10)
        loss, last = train(real[s], y[s])
        return {"loss": float(loss), "last_position": float(last)}  # true value about 680

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w])
