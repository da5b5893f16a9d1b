# Source: tensorflow/tensorflow#22048 (clip by norm of a zero gradient)
# Gradient clipping by hand, g / |g|, once the hinge loss is 0.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="normalised_gradient_zero",
    buggy=True,
    kind="div-zero",
    origin_op_type="RealDiv",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#22048",
    steps=120,
    style="custom_gradient",
)


@tf.custom_gradient
def limit_gradient(x: tf.Tensor) -> tuple[tf.Tensor, object]:
    def backward(upstream: tf.Tensor) -> tf.Tensor:
        length = tf.norm(upstream)
        return upstream / length * tf.minimum(length, 1.0)  # BUG

    return tf.identity(x), backward


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1000, 5).astype("float32")
    x = x[np.abs(x[:, 0] + x[:, 1]) > 0.8][:500]  # separable, with a margin
    y = np.sign(x[:, :1] + x[:, 1:2]).astype("float32")
    w = tf.Variable(tf.zeros([5, 1]))
    rows = len(x)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            score = limit_gradient(a @ w)
            loss = tf.reduce_mean(tf.nn.relu(1.0 - t * score))
        w.assign_sub(0.1 * tape.gradient(loss, w))
        return loss

    def step(i: int) -> dict[str, float]:
        s = (np.arange(10) + i * 10) % rows
        return {"loss": float(train(x[s], y[s])), "w": float(tf.reduce_max(w))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w])
