# Source: keras-team/keras#17571, huggingface/transformers#17306
# float16.min as mask: min + score is -Inf, an empty row NaN.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="fp16_min_mask_row",
    buggy=True,
    kind="masked-softmax",
    origin_op_type="AddV2|Softmax",
    origin_source_marker="# BUG",
    source="keras-team/keras#17571; huggingface/transformers#17306",
    steps=130,
    style="mixed-precision keras-fit",
)


class Attention(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    def __init__(self) -> None:
        super().__init__(dtype=keras.DTypePolicy("mixed_float16"))
        self.query, self.key, self.value = [
            keras.layers.Dense(8, use_bias=False, dtype=self.dtype_policy) for _ in "qkv"
        ]

    def call(self, x: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        score = tf.matmul(self.query(x), self.key(x), transpose_b=True)
        hidden = (1.0 - tf.cast(real, score.dtype))[:, None, :] * score.dtype.min
        weights = tf.nn.softmax(score + hidden)  # BUG
        return tf.reduce_mean(tf.matmul(weights, self.value(x)), axis=1)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = (1.2 + r.randn(2600, 6, 8)).astype("float32")
    length = r.randint(1, 7, 2600)
    length[r.rand(2600) < 0.08] = 0  # empty documents: harmless as long as all scores stay above -16
    real = (np.arange(6) < length[:, None]).astype("float32")
    y = (x[:, :, 0] * real).max(1, keepdims=True).astype("float32") * 10
    tokens, mask = keras.Input((6, 8)), keras.Input((6,))
    pooled = Attention()(tokens, mask)
    model = keras.Model([tokens, mask], keras.layers.Dense(1, dtype="float32")(pooled))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(5e-2))
    model.compile(optimizer, loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 2600, (i * 20) % 2600 + 20)
        return {"loss": float(model.train_on_batch([x[s], real[s]], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
