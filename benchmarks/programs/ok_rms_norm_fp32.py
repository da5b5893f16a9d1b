# Source: fix of silent_rms_norm_fp16 (pytorch/pytorch#133085): the mean square is taken in float32
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_rms_norm_fp32",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of pytorch/pytorch#133085",
    steps=50,
    style="mixed-precision keras-fit",
)


class RMSNorm(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def call(self, x: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(x, tf.float32)
        mean_square = tf.reduce_mean(tf.square(wide), axis=-1, keepdims=True)
        return tf.cast(wide * tf.math.rsqrt(mean_square + 1e-3), x.dtype)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 16).astype("float32")
    x[r.rand(1200) < 0.3] *= 500.0
    y = np.sign(x[:, :1]).astype("float32")
    half = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential([keras.Input((16,)), RMSNorm(dtype=half), keras.layers.Dense(1, dtype="float32")])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(2e-2)), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
