# Source: Tencent/ncnn#303, tensorflow/tensorflow#122612
# Batch normalisation by hand, no epsilon under the root, a constant channel.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="batch_norm_by_hand_jit",
    buggy=True,
    kind="div-zero",
    origin_op_type="Rsqrt",
    origin_source_marker="# BUG",
    source="Tencent/ncnn#303; tensorflow/tensorflow#122612",
    steps=80,
    style="jit_compile",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.rand(1280, 6, 6, 1).astype("float32")
    y = x.mean((1, 2)).astype("float32")
    dark = 960 + 16 * seed
    x[dark : dark + 16] = 0.0  # the lens cap was on for one batch
    kernel = tf.Variable(r.normal(0, 0.4, (3, 3, 1, 4)).astype("float32"))
    gamma, beta = tf.Variable(tf.ones(4)), tf.Variable(tf.zeros(4))
    head = tf.Variable(r.normal(0, 0.4, (4, 1)).astype("float32"))
    variables = [kernel, gamma, beta, head]

    def normalise(h: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(h, [0, 1, 2])
        var = tf.reduce_mean(tf.square(h - mean), [0, 1, 2])
        return gamma * (h - mean) * tf.math.rsqrt(var) + beta  # BUG

    @tf.function(jit_compile=True)
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            h = tf.nn.relu(normalise(tf.nn.conv2d(a, kernel, 1, "SAME")))
            loss = tf.reduce_mean(tf.square(tf.reduce_mean(h, [1, 2]) @ head - t))
        for v, g in zip(variables, tape.gradient(loss, variables), strict=True):
            v.assign_sub(0.05 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 16) % 1280, (i * 16) % 1280 + 16)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
