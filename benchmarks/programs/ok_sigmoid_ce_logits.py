# Source: fix of sigmoid_ce_by_hand (tensorflow/tensorflow#172): tf.nn.sigmoid_cross_entropy_with_logits, logits in
# the hundreds
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_sigmoid_ce_logits",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of tensorflow/tensorflow#172",
    steps=80,
    style="nested tf.function",
)


@tf.function
def logistic_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.lognormal(0, 0.8, (1200, 8)).astype("float32")
    score = x @ r.randn(8, 1)
    y = (score > np.median(score)).astype("float32")
    w, b = tf.Variable(tf.zeros([8, 1])), tf.Variable(tf.zeros([1]))

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(logistic_loss(a @ w + b, t))
        for v, g in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            v.assign_sub(rate * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(train(x[s], y[s], tf.constant(min(0.05 * 1.08**i, 4.0), tf.float32)))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
