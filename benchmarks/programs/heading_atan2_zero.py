# Source: jax-ml/jax#15798, GPflow/GPflow#409
# The heading of a velocity by atan2: where something stands still the gradient is 0/0.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="heading_atan2_zero",
    buggy=True,
    kind="div-zero",
    origin_op_type="Atan2|RealDiv",
    origin_source_marker="# BUG",
    source="jax-ml/jax#15798; GPflow/GPflow#409",
    steps=60,
    style="tf.vectorized_map",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    speed = r.randn(900, 2).astype("float32")
    speed[615 + 15 * seed] = 0.0  # a parked car
    y = np.arctan2(speed[:, 1], speed[:, 0]).astype("float32")
    m = tf.Variable((np.eye(2) + r.normal(0, 0.2, (2, 2))).astype("float32"))

    def heading(v: tf.Tensor) -> tf.Tensor:
        return tf.atan2(v[1], v[0])  # BUG

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            turned = tf.vectorized_map(heading, a @ m)  # BUG
            loss = tf.reduce_mean(1.0 - tf.cos(turned - t))
        m.assign_sub(0.05 * tape.gradient(loss, m))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 15, i * 15 + 15)
        return {"loss": float(train(speed[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[m])
