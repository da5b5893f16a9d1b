# Source: fix of mdn_likelihood_underflow (keras-team/keras#2586): mixture likelihood in log space, outlier included
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_mdn_logsumexp",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of keras-team/keras#2586",
    steps=90,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.uniform(-1, 1, (3600, 1)).astype("float32")
    y = (np.sin(4 * x) + 0.02 * r.randn(3600, 1)).astype("float32")
    y[2100 + 150 * seed] += 60.0
    sizes = [(1, 32), (32, 9)]
    weights = [tf.Variable(r.normal(0, s[0] ** -0.5, s).astype("float32")) for s in sizes]
    biases = [tf.Variable(tf.zeros(s[1])) for s in sizes]
    variables = weights + biases
    optimizer = tf.keras.optimizers.Adam(1e-2, global_clipnorm=5.0)

    def log_likelihood(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        out = tf.tanh(a @ weights[0] + biases[0]) @ weights[1] + biases[1]
        share, mean, log_sigma = tf.split(out, 3, axis=1)
        log_density = -0.5 * tf.square((t - mean) * tf.exp(-log_sigma)) - log_sigma - 0.919
        return tf.reduce_logsumexp(tf.nn.log_softmax(share) + log_density, axis=1)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(log_likelihood(a, t))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 30) % 3600, (i * 30) % 3600 + 30)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
