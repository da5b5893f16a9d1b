# Source: mixed precision guide, tensorflow/tensorflow#33484
# A fixed loss scale and no check: the float16 gradients overflow.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="fp16_static_loss_scale",
    buggy=True,
    kind="fp16-overflow",
    origin_op_type="Cast",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#33484; NVIDIA mixed precision guide",
    steps=100,
    style="mixed-precision, custom loop",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(2000, 8).astype("float32")
    y = (x[:, :1] + 0.1 * r.randn(2000, 1)).astype("float32")
    bad = 1300 + 20 * seed
    y[bad : bad + 20] *= 100.0  # written in percent
    half = keras.DTypePolicy("mixed_float16")
    hidden = keras.layers.Dense(16, activation="relu", dtype=half)
    model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(1, dtype=half)])
    optimizer = keras.optimizers.SGD(1e-2)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            scaled = 2.0**13 * tf.reduce_mean(tf.square(tf.cast(model(a), tf.float32) - t))  # BUG
        grads = [g / 2.0**13 for g in tape.gradient(scaled, model.trainable_variables)]
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return scaled / 2.0**13

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
