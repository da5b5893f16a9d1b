# Source: ROCm/AMDMIGraphX#850, tensorflow/tensorflow#56890
# A float16 sum over the image leaves the range before it is divided.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="fp16_sum_pooling",
    buggy=True,
    kind="fp16-overflow",
    origin_op_type="Sum",
    origin_source_marker="# BUG",
    source="ROCm/AMDMIGraphX#850; tensorflow/tensorflow#56890",
    steps=80,
    style="mixed-precision",
)


class SumPool(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def call(self, x: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(x, axis=[1, 2])  # BUG
        return total / tf.cast(x.shape[1] * x.shape[2], x.dtype)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    bright = r.rand(800, 1, 1, 1)
    x = (bright * np.ones((800, 64, 64, 1)) + 0.1 * r.rand(800, 64, 64, 1)).astype("float32")
    y = (60.0 * bright[:, 0, 0]).astype("float32")
    half = keras.DTypePolicy("mixed_float16")
    head = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.1), trainable=False)  # pretrained
    model = keras.Sequential(
        [
            keras.Input((64, 64, 1)),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", dtype=half),
            SumPool(dtype=half),
            head,
        ]
    )
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.3)), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 10) % 800, (i * 10) % 800 + 10)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
