# Source: tensorflow/tensorflow#57786, jax-ml/jax#15798, pytorch/pytorch#8069
# Gradient of acos at 1, where the fit is perfect.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="rotation_angle_acos",
    buggy=True,
    kind="acos-grad",
    origin_op_type="Acos|Reciprocal",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#57786; jax-ml/jax#15798; pytorch/pytorch#8069",
    steps=120,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    turn = np.linalg.qr(r.randn(3, 3))[0]
    x = r.randn(600, 3)
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype("float32")
    y = (x @ turn).astype("float32")
    w = tf.Variable((turn + r.normal(0, 0.4, (3, 3))).astype("float32"))
    optimizer = tf.keras.optimizers.Adam(2e-2)

    def angle(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        dot = tf.reduce_sum(tf.math.l2_normalize(a, axis=1) * b, axis=1)
        return tf.acos(tf.clip_by_value(dot, -1.0, 1.0))  # BUG

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(angle(a @ w, t))
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 30) % 600, (i * 30) % 600 + 30)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w])
