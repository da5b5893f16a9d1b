# Source: fix of fp16_attention_scores and fp16_min_mask_row: queries scaled first, float32 softmax, -Inf-free mask,
# dynamic loss scale
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_fp16_attention_prescaled",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of ultralytics/ultralytics#24990 and keras-team/keras#17571",
    steps=60,
    style="mixed-precision keras-fit",
)


class Attention(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def __init__(self) -> None:
        super().__init__(dtype=keras.DTypePolicy("mixed_float16"))
        self.query, self.key, self.value = [
            keras.layers.Dense(8, use_bias=False, dtype=self.dtype_policy) for _ in "qkv"
        ]

    def call(self, x: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        score = tf.cast(tf.matmul(self.query(x) / 8**0.5, self.key(x), transpose_b=True), tf.float32)
        weights = tf.nn.softmax(tf.where(real[:, None, :] > 0, score, -1e9))
        return tf.reduce_mean(tf.matmul(tf.cast(weights, self.compute_dtype), self.value(x)), axis=1)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1600, 6, 8).astype("float32")
    length = r.randint(0, 7, 1600)
    real = (np.arange(6) < length[:, None]).astype("float32")
    y = (x[:, :, 0] * real).max(1, keepdims=True).astype("float32")
    tokens, mask = keras.Input((6, 8)), keras.Input((6,))
    pooled = Attention()(tokens, mask)
    model = keras.Model([tokens, mask], keras.layers.Dense(1, dtype="float32")(pooled))
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2)), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1600, (i * 20) % 1600 + 20)
        return {"loss": float(model.train_on_batch([x[s], real[s]], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
