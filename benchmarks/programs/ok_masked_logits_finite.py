# Source: fix of masked_logits_smoothing (huggingface/trl#5594): smoothing spreads over allowed actions, mask of -1e9
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_masked_logits_finite",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of huggingface/trl#5594",
    steps=50,
    style="custom loop over a Keras model",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(900, 6).astype("float32")
    allowed = np.ones((900, 4), bool)
    allowed[::7, 3] = False
    score = np.where(allowed, x[:, :4], -9)
    y = np.eye(4, dtype="float32")[np.argmax(score, axis=1)]
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(4)])
    optimizer = keras.optimizers.Adam(5e-3)

    @tf.function
    def train(a: tf.Tensor, legal: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        choices = tf.cast(legal, tf.float32)
        smooth = 0.95 * t + 0.05 * choices / tf.reduce_sum(choices, axis=1, keepdims=True)
        with tf.GradientTape() as tape:
            logits = tf.where(legal, model(a), -1e9)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 15, i * 15 + 15)
        return {"loss": float(train(x[s], allowed[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
