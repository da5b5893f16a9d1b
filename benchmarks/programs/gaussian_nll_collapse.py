# Source: ethanhe42/KL-Loss#4, keras-team/keras#2586
# Gaussian negative log-likelihood on noise-free targets: the variance collapses to 0.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="gaussian_nll_collapse",
    buggy=True,
    kind="div-zero",
    origin_op_type="RealDiv|Log",
    origin_source_marker="# BUG",
    source="ethanhe42/KL-Loss#4; keras-team/keras#2586",
    steps=300,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    flag = r.randint(0, 2, (800, 4)).astype("float32")
    y = (flag @ np.array([[1.0], [0.0], [2.0], [1.0]])).astype("float32")  # nothing but sums of flags
    w = tf.Variable(r.normal(0, 0.1, (4, 2)).astype("float32"))
    b = tf.Variable([0.0, 0.6])
    optimizer = tf.keras.optimizers.Adam(5e-2)

    def nll(mean: tf.Tensor, var: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        return tf.math.log(var) + tf.square(t - mean) / var  # BUG

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            mean, raw = tf.split(a @ w + b, 2, axis=1)
            loss = tf.reduce_mean(nll(mean, tf.nn.relu(raw), t))
        optimizer.apply_gradients(zip(tape.gradient(loss, [w, b]), [w, b], strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 800, (i * 20) % 800 + 20)
        return {"loss": float(train(flag[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
