# Source: fix of empty_mean_boolean_mask (pytorch/pytorch#50224): sum over the masked elements, divided by max(count, 1)
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_empty_mean_guarded",
    buggy=False,
    kind="healthy-converged",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of pytorch/pytorch#50224",
    steps=80,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(960, 6).astype("float32")
    y = (x[:, :1] - 0.5 * x[:, 1:2]).astype("float32")
    w, b = tf.Variable(tf.zeros([6, 1])), tf.Variable(tf.zeros(1))

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            error = tf.abs(a @ w + b - t)
            hard = tf.boolean_mask(error, error > 0.05)
            count = tf.maximum(tf.cast(tf.size(hard), tf.float32), 1.0)
            loss = tf.reduce_sum(hard) / count
        for v, g in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            v.assign_sub(0.05 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 12) % 960, (i * 12) % 960 + 12)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
