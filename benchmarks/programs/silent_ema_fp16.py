# Source: d8ahazard/sd_dreambooth_extension#1415
# EMA of the weights kept in float16: (1 - decay) * difference is absorbed.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="silent_ema_fp16",
    buggy=True,
    kind="silent-absorption",
    origin_op_type="AssignAddVariableOp",
    origin_source_marker="# BUG",
    source="d8ahazard/sd_dreambooth_extension#1415",
    steps=60,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 10).astype("float32")
    y = (x @ r.uniform(0.5, 1.5, (10, 1))).astype("float32")
    start = r.uniform(0.5, 1.5, (10, 1)).astype("float32")
    w = tf.Variable(start)
    average = tf.Variable(start.astype("float16"), trainable=False)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(a @ w - t))
        w.assign_sub(0.05 * tape.gradient(loss, w))
        difference = tf.cast(w, tf.float16) - average
        average.assign_add(difference * (1 - 0.9999))  # BUG
        return loss, tf.reduce_mean(tf.abs(difference))

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        loss, lag = train(x[s], y[s])
        return {"loss": float(loss), "lag": float(lag)}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, average])
