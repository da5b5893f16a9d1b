# Source: keras-team/keras#377
# 1 - 1e-7 is 1 in float16: the clip lets log(1 - p) reach log(0).
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="fp16_clip_inert",
    buggy=True,
    kind="log-zero",
    origin_op_type="Log",
    origin_source_marker="# BUG",
    source="keras-team/keras#377",
    steps=120,
    style="float16",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    half = tf.float16
    x = r.randn(1800, 6).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    w, b = tf.Variable(r.normal(0, 0.1, (6, 1)).astype("float32")), tf.Variable(tf.zeros(1))

    def cross_entropy(t: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        p = tf.clip_by_value(p, 1e-7, 1.0 - 1e-7)
        wrong = tf.math.log(1.0 - p)  # BUG
        return -tf.reduce_mean(t * tf.math.log(p) + (1.0 - t) * wrong)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            p = tf.sigmoid(tf.cast(a @ w + b, half))
            loss = cross_entropy(tf.cast(t, half), p)
        for v, g in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            v.assign_sub(1.0 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 30) % 1800, (i * 30) % 1800 + 30)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
