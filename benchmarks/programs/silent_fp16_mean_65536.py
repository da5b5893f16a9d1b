# Source: tensorflow/tensorflow#115732, #56890
# The element count of a float16 mean is Inf from 65520 elements on: the mean is 0.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="silent_fp16_mean_65536",
    buggy=True,
    kind="silent-mean-count",
    origin_op_type="Mean",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#115732, #56890",
    steps=25,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    clean = r.rand(8, 96, 96, 1).astype("float32")
    noisy = (clean + 0.2 * r.randn(*clean.shape)).astype("float32")
    kernel = tf.Variable(r.normal(0, 0.05, (3, 3, 1, 1)).astype("float32"))

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            restored = tf.nn.conv2d(tf.cast(a, tf.float16), tf.cast(kernel, tf.float16), 1, "SAME")
            loss = tf.reduce_mean(tf.square(restored - tf.cast(t, tf.float16)))  # BUG
        kernel.assign_sub(0.5 * tape.gradient(loss, kernel))
        return loss

    def step(i: int) -> dict[str, float]:
        return {"loss": float(train(noisy, clean))}  # 8 x 96 x 96 = 73728 elements

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[kernel])
