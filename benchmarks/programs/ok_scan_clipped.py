# Source: fix of scan_dynamics_explode: the same tf.scan, gradients clipped by global norm; they are large and stay
# finite
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_scan_clipped",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of chenxie95/deeplearning_course_sjtu#31",
    steps=60,
    style="tf.scan",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(30, 400, 3).astype("float32")
    y = np.cumsum(x[:, :, :1], 0)[-1].astype("float32")
    a = tf.Variable((0.9 * np.eye(6) + r.normal(0, 0.05, (6, 6))).astype("float32"))
    b = tf.Variable(r.normal(0, 0.3, (3, 6)).astype("float32"))
    c = tf.Variable(r.normal(0, 0.3, (6, 1)).astype("float32"))
    variables = [a, b, c]

    def advance(h: tf.Tensor, force: tf.Tensor) -> tf.Tensor:
        return tf.matmul(h, a) + tf.matmul(force, b)

    @tf.function
    def train(forces: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            path = tf.scan(advance, forces, tf.zeros([20, 6]))
            loss = tf.reduce_mean(tf.square(tf.matmul(path[-1], c) - target))
        grads, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        for v, g in zip(variables, grads, strict=True):
            v.assign_sub(1e-2 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 400, (i * 20) % 400 + 20)
        return {"loss": float(train(x[:, s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
