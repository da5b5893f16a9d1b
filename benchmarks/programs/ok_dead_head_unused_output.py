# Source: healthy - two heads of which only one is trained yet: 1/0 of the other is computed, not used
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_dead_head_unused_output",
    buggy=False,
    kind="healthy-unused-inf",
    origin_op_type=None,
    origin_source_marker=None,
    source="multi-task training with a task switched off",
    steps=50,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(800, 6).astype("float32")
    y = (x[:, :1] * 2).astype("float32")
    w = tf.Variable(r.normal(0, 0.3, (6, 1)).astype("float32"))
    other = tf.Variable(tf.zeros([6, 3]))

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(a @ w - t))
            concentration = 1.0 / tf.reduce_sum(tf.square(a @ other), axis=1)  # 1/0: the head is still all zeros
            if weight > 0.0:
                loss += weight * tf.reduce_mean(concentration)
        w.assign_sub(0.05 * tape.gradient(loss, w))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 16) % 800, (i * 16) % 800 + 16)
        return {"loss": float(train(x[s], y[s], tf.constant(0.0)))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, other])
