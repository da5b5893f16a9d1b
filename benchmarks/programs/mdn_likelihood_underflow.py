# Source: keras-team/keras#1061, #2586
# Mixture density network, log of a sum of Gaussian densities that all underflow.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="mdn_likelihood_underflow",
    buggy=True,
    kind="log-zero",
    origin_op_type="Log",
    origin_source_marker="# BUG",
    source="keras-team/keras#1061, #2586",
    steps=120,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.uniform(-1, 1, (3600, 1)).astype("float32")
    y = (np.sin(4 * x) + 0.02 * r.randn(3600, 1)).astype("float32")
    y[2100 + 150 * seed] += 60.0  # the decimal point is missing
    sizes = [(1, 32), (32, 9)]
    weights = [tf.Variable(r.normal(0, s[0] ** -0.5, s).astype("float32")) for s in sizes]
    biases = [tf.Variable(tf.zeros(s[1])) for s in sizes]
    variables = weights + biases
    optimizer = tf.keras.optimizers.Adam(1e-2)

    def likelihood(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        out = tf.tanh(a @ weights[0] + biases[0]) @ weights[1] + biases[1]
        share, mean, log_sigma = tf.split(out, 3, axis=1)
        sigma = tf.exp(log_sigma)
        density = tf.exp(-0.5 * tf.square((t - mean) / sigma)) / (sigma * 2.5066)
        return tf.reduce_sum(tf.nn.softmax(share) * density, axis=1)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(likelihood(a, t)))  # BUG
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 30) % 3600, (i * 30) % 3600 + 30)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
