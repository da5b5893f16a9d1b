# Source: healthy - keras-team/keras#1628: targets and features padded with NaN, replaced by tf.where before they are
# used
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_nan_padded_series",
    buggy=False,
    kind="healthy-intended-nan",
    origin_op_type=None,
    origin_source_marker=None,
    source="keras-team/keras#1628",
    steps=50,
    style="custom loop over a Keras model",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(800, 12, 2).astype("float32")
    y = np.cumsum(x[:, :, :1], 1).astype("float32")
    missing = np.arange(12)[None, :] >= r.randint(3, 13, (800, 1))
    x[missing], y[missing] = np.nan, np.nan
    model = keras.Sequential([keras.Input((12, 2)), keras.layers.GRU(12, return_sequences=True), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(1e-2)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        known = tf.math.is_finite(t)
        a = tf.where(tf.math.is_nan(a), 0.0, a)
        t = tf.where(known, t, 0.0)
        with tf.GradientTape() as tape:
            error = tf.square(model(a) - t) * tf.cast(known, tf.float32)
            loss = tf.reduce_sum(error) / tf.reduce_sum(tf.cast(known, tf.float32))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 16) % 800, (i * 16) % 800 + 16)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
