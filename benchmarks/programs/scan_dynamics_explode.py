# Source: chenxie95/deeplearning_course_sjtu#31, keras-team/keras#3040
# A linear system simulated with tf.scan, fitted by SGD without clipping.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="scan_dynamics_explode",
    buggy=True,
    kind="exploding-gradient",
    origin_op_type="MatMul|AddV2|Mul",
    origin_source_marker="# BUG",
    source="chenxie95/deeplearning_course_sjtu#31; keras-team/keras#3040",
    steps=180,
    style="tf.scan",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(50, 400, 3).astype("float32")
    y = np.cumsum(x[:, :, :1], 0)[-1].astype("float32")
    a = tf.Variable((0.9 * np.eye(6) + r.normal(0, 0.05, (6, 6))).astype("float32"))
    b = tf.Variable(r.normal(0, 0.3, (3, 6)).astype("float32"))
    c = tf.Variable(r.normal(0, 0.3, (6, 1)).astype("float32"))
    variables = [a, b, c]

    def advance(h: tf.Tensor, force: tf.Tensor) -> tf.Tensor:
        return tf.matmul(h, a) + tf.matmul(force, b)  # BUG

    @tf.function
    def train(forces: tf.Tensor, target: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            path = tf.scan(advance, forces, tf.zeros([20, 6]))
            loss = tf.reduce_mean(tf.square(tf.matmul(path[-1], c) - target))
        for v, g in zip(variables, tape.gradient(loss, variables), strict=True):
            v.assign_sub(rate * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 400, (i * 20) % 400 + 20)
        return {"loss": float(train(x[:, s], y[s], tf.constant(2e-6 * 1.05**i, tf.float32)))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
