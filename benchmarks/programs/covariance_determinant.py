# Source: keras-team/keras#2586, RasmussenLab/vamb#12
# Gaussian likelihood with log(det(covariance)): the determinant of a large matrix underflows to 0.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="covariance_determinant",
    buggy=True,
    kind="log-zero",
    origin_op_type="Log|MatrixDeterminant",
    origin_source_marker="# BUG",
    source="keras-team/keras#2586; RasmussenLab/vamb#12",
    steps=160,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    n = 64
    mix = np.eye(n) * 0.04 + r.normal(0, 0.002, (n, n))
    x = (r.randn(8000, n) @ mix).astype("float32")
    factor = tf.Variable(0.8 * np.eye(n, dtype="float32"))
    optimizer = tf.keras.optimizers.Adam(5e-3)

    @tf.function
    def train(a: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            covariance = tf.matmul(factor, factor, transpose_b=True)
            distance = tf.reduce_sum(a * tf.transpose(tf.linalg.solve(covariance, tf.transpose(a))), axis=1)
            loss = tf.reduce_mean(distance) + tf.math.log(tf.linalg.det(covariance))  # BUG
        optimizer.apply_gradients([(tape.gradient(loss, factor), factor)])
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 50, i * 50 + 50)
        return {"loss": float(train(x[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[factor])
