# Source: pytorch/pytorch#133085, xlite-dev/LeetCUDA#335, skyzh/tiny-llm#18
# RMSNorm in float16: the square overflows to Inf, 1 / sqrt(Inf) is 0, the layer gives 0 instead of ordinary numbers.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="silent_rms_norm_fp16",
    buggy=True,
    kind="silent-overflow",
    origin_op_type="Square|Mean",
    origin_source_marker="# BUG",
    source="pytorch/pytorch#133085; xlite-dev/LeetCUDA#335; skyzh/tiny-llm#18",
    steps=60,
    style="mixed-precision keras-fit",
)


class RMSNorm(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def call(self, x: tf.Tensor) -> tf.Tensor:
        mean_square = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)  # BUG
        return x * tf.math.rsqrt(mean_square + 1e-3)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 16).astype("float32")
    x[r.rand(1200) < 0.3] *= 500.0  # tokens with massive activations
    y = np.sign(x[:, :1]).astype("float32")
    half = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential([keras.Input((16,)), RMSNorm(dtype=half), keras.layers.Dense(1, dtype="float32")])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(2e-2)), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
