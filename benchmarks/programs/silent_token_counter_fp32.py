# Source: pytorch/ao#1124, tensorflow/tensorflow#115732
# A float32 count of tokens stops at 2 ** 24, the warm-up that follows it with it.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="silent_token_counter_fp32",
    buggy=True,
    kind="silent-absorption",
    origin_op_type="AssignAddVariableOp",
    origin_source_marker="# BUG",
    source="pytorch/ao#1124; tensorflow/tensorflow#115732",
    steps=50,
    style="while_loop",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(400, 6).astype("float32")
    y = (x @ r.randn(6, 1)).astype("float32")
    w = tf.Variable(tf.zeros([6, 1]))
    seen = tf.Variable(2.0**24 - 150.0, trainable=False)  # resumed run

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss = tf.constant(0.0)
        for row in tf.range(tf.shape(a)[0]):
            with tf.GradientTape() as tape:
                error = tf.reduce_mean(tf.square(a[row : row + 1] @ w - t[row]))
            seen.assign_add(1.0)  # BUG
            w.assign_sub(tf.minimum(seen / 2.0**25, 1.0) * 0.02 * tape.gradient(error, w))
            loss += error
        return loss, seen.read_value()

    def step(i: int) -> dict[str, float]:
        s = slice((i * 8) % 400, (i * 8) % 400 + 8)
        loss, count = train(x[s], y[s])
        return {"loss": float(loss), "seen": float(count)}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, seen])
