# Source: healthy - tf.where(x > 0, sqrt(x), 0): in TensorFlow 2.21 SqrtGrad gives 0 for a zero upstream gradient, so
# the trap is none
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_where_sqrt_zero",
    buggy=False,
    kind="healthy-looks-like-a-trap",
    origin_op_type=None,
    origin_source_marker=None,
    source="tensorflow/tensorflow#38349 seen with TensorFlow 2.21",
    steps=60,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = np.maximum(r.randn(900, 8), 0).astype("float32")
    y = np.sqrt(x).sum(1, keepdims=True).astype("float32")
    scale = tf.Variable(tf.ones(8))
    w, b = tf.Variable(r.normal(0.5, 0.1, (8, 1)).astype("float32")), tf.Variable(tf.zeros(1))
    variables = [scale, w, b]

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            z = a * tf.square(scale)
            root = tf.where(z > 0.0, tf.sqrt(z), 0.0)
            loss = tf.reduce_mean(tf.square(root @ w + b - t))
        for v, g in zip(variables, tape.gradient(loss, variables), strict=True):
            v.assign_sub(0.05 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 15, i * 15 + 15)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
