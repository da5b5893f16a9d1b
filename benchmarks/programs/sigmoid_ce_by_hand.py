# Source: tensorflow/tensorflow#172 (log(1 + exp(-x)) without -abs)
# Hand-written sigmoid cross-entropy.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="sigmoid_ce_by_hand",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#172",
    steps=120,
    style="nested tf.function",
)


@tf.function
def logistic_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return logits - logits * labels + tf.math.log(1.0 + tf.exp(-logits))  # BUG


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.lognormal(0, 0.8, (1200, 8)).astype("float32")  # word counts, not scaled
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
        rate = tf.constant(0.05 * 1.08**i, tf.float32)  # the learning-rate range test of a tuner
        return {"loss": float(train(x[s], y[s], rate))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
