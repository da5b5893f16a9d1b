# Source: hwalsuklee/tensorflow-mnist-VAE#4, keras-team/keras#1061
# Likelihood of a sequence as a product of probabilities: it underflows to 0, its logarithm is -Inf.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="sequence_probability_product",
    buggy=True,
    kind="log-zero",
    origin_op_type="Log|Prod",
    origin_source_marker="# BUG",
    source="hwalsuklee/tensorflow-mnist-VAE#4; keras-team/keras#1061",
    steps=80,
    style="ragged lengths",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    state = r.randint(0, 8, (800, 130))
    length = np.repeat(np.linspace(4, 120, 80).astype(int), 10)  # a curriculum: longer and longer sequences
    logits = tf.Variable(r.normal(0, 0.1, (8, 8)).astype("float32"))
    optimizer = tf.keras.optimizers.SGD(0.05)

    @tf.function(reduce_retracing=True)
    def train(words: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            rows = tf.gather(tf.nn.softmax(logits), words[:, :-1])
            chances = tf.gather(rows, words[:, 1:], batch_dims=2)
            likelihood = tf.reduce_prod(chances, axis=1)
            loss = -tf.reduce_mean(tf.math.log(likelihood))  # BUG
        optimizer.apply_gradients([(tf.clip_by_norm(tape.gradient(loss, logits), 1.0), logits)])
        return loss

    def step(i: int) -> dict[str, float]:
        n = length[i * 10]
        return {"loss": float(train(state[i * 10 : i * 10 + 10, : n + 1].astype("int32")))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[logits])
