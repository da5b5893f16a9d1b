# Source: tensorflow/tensorflow#56830, pytorch/pytorch#4320
# Gradient of reduce_std at a constant batch.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="vicreg_std_collapse",
    buggy=True,
    kind="sqrt-grad-zero",
    origin_op_type="SqrtGrad",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#56830; pytorch/pytorch#4320",
    steps=160,
    style="eager",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = np.abs(r.randn(1600, 12)).astype("float32")
    w = tf.Variable(r.normal(0.05, 0.25, (12, 8)).astype("float32"))
    b = tf.Variable(tf.fill([8], 0.2))

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1600, (i * 20) % 1600 + 20)
        with tf.GradientTape() as tape:
            z = tf.nn.relu(x[s] @ w + b)
            spread = tf.math.reduce_std(z, axis=0)  # BUG
            loss = tf.reduce_mean(tf.nn.relu(0.5 - spread)) + 1.6 * tf.reduce_mean(z)
        for v, g in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            v.assign_sub(0.1 * g)
        return {"loss": float(loss), "spread": float(tf.reduce_min(spread))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
