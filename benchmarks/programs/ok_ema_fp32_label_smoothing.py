# Source: fix of silent_ema_fp16 (d8ahazard/sd_dreambooth_extension#1415): EMA of the weights in float32, decay
# 0.999; label smoothing
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_ema_fp32_label_smoothing",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of d8ahazard/sd_dreambooth_extension#1415",
    steps=60,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 10).astype("float32")
    y = np.eye(4, dtype="float32")[np.argmax(x[:, :4], axis=1)]
    start = r.normal(0, 0.3, (10, 4)).astype("float32")
    w, average = tf.Variable(start), tf.Variable(start, trainable=False)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        smooth = t * (1.0 - 1e-2) + 1e-2 / 4
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, a @ w))
        w.assign_sub(0.3 * tape.gradient(loss, w))
        average.assign_add((w - average) * (1 - 0.999))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, average])
