# Source: open-mmlab/mmdetection3d#296, facebookresearch/fairo#537
# Unix time cast to float32, which counts it in steps of 128 s: differences of a few seconds come out 0 or 128.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="silent_timestamp_fp32",
    buggy=True,
    kind="silent-cancellation",
    origin_op_type="Cast|Sub",
    origin_source_marker="# BUG",
    source="open-mmlab/mmdetection3d#296; facebookresearch/fairo#537",
    steps=40,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    wait = r.randint(1, 60, (800, 6))
    stamp = 1_700_000_000 + 3_600 * np.arange(800)[:, None] + np.cumsum(wait, axis=1)
    y = wait[:, 1:].mean(1, keepdims=True).astype("float32") / 30
    w, b = tf.Variable(r.normal(0, 0.1, (5, 1)).astype("float32")), tf.Variable(tf.zeros(1))

    @tf.function
    def train(times: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seconds = tf.cast(times, tf.float32)  # BUG
        gap = seconds[:, 1:] - seconds[:, :-1]  # BUG
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(gap / 30.0 @ w + b - t))
        for v, g in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            v.assign_sub(0.01 * g)
        return loss, tf.reduce_max(gap)

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        loss, longest = train(stamp[s], y[s])
        return {"loss": float(loss), "longest_gap": float(longest)}  # true values stay below 60

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
