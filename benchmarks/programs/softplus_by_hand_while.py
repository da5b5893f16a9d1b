# Source: rushter/MLAlgorithms#30, tracel-ai/burn#5373
# Softplus as log(1 + exp(x)), in the body of a while loop.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="softplus_by_hand_while",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="rushter/MLAlgorithms#30; tracel-ai/burn#5373",
    steps=120,
    style="while_loop",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.uniform(0, 1, (600, 5)).astype("float32")
    y = (200.0 * x.mean(1, keepdims=True) + 20).astype("float32")
    a = tf.Variable(r.normal(0, 0.3, (5, 8)).astype("float32"))
    core = tf.Variable(r.normal(0.1, 0.1, (8, 8)).astype("float32"))
    c = tf.Variable(r.normal(0.1, 0.1, (8, 1)).astype("float32"))
    variables = [a, core, c]
    optimizer = tf.keras.optimizers.Adam(1.2e-2)

    def rate(z: tf.Tensor) -> tf.Tensor:
        return tf.math.log(1.0 + tf.exp(z))  # BUG

    @tf.function
    def train(s: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            h = tf.matmul(s, a)
            for _ in tf.range(4):
                h = rate(tf.matmul(h, core))
            loss = tf.reduce_mean(tf.square(tf.matmul(h, c) - t))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 600, (i * 20) % 600 + 20)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
