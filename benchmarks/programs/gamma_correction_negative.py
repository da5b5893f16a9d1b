# Source: TorchIO-project/torchio#306, tensorflow/tensorflow#2295
# x ** (1 / 2.2) of a network output that dips below 0.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="gamma_correction_negative",
    buggy=True,
    kind="pow-negative",
    origin_op_type="Pow",
    origin_source_marker="# BUG",
    source="TorchIO-project/torchio#306; tensorflow/tensorflow#2295",
    steps=80,
    style="map_fn",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    clean = r.uniform(0.15, 1, (640, 8, 8, 1)).astype("float32")
    clean *= np.linspace(1, 0.02, 640)[:, None, None, None].astype("float32")  # evening falls
    noisy = (clean + 0.05 * r.randn(*clean.shape)).astype("float32")
    kernel = tf.Variable(np.full((3, 3, 1, 1), 0.11, "float32"))
    bias = tf.Variable(0.02)

    def tonemap(image: tf.Tensor) -> tf.Tensor:
        return tf.pow(image, 1.0 / 2.2)  # BUG

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            restored = tf.nn.conv2d(a, kernel, 1, "VALID") + bias
            error = tf.map_fn(tonemap, restored) - tf.pow(t[:, 1:-1, 1:-1], 1.0 / 2.2)
            loss = tf.reduce_mean(tf.square(error))
        for v, g in zip((kernel, bias), tape.gradient(loss, (kernel, bias)), strict=True):
            v.assign_sub(0.05 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 8, i * 8 + 8)
        return {"loss": float(train(noisy[s], clean[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[kernel, bias])
