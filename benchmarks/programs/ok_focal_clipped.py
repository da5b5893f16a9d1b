# Source: fix of focal_loss_gamma_half (kornia/kornia#918)
# Probabilities clipped away from 0 and 1 before pow and log.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_focal_clipped",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of kornia/kornia#918",
    steps=80,
    style="keras-fit",
)


def focal_loss(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    right = tf.clip_by_value(tf.where(y > 0.5, p, 1.0 - p), 1e-6, 1.0 - 1e-6)
    return -tf.reduce_mean(tf.pow(1.0 - right, 0.5) * tf.math.log(right))


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1600, 6).astype("float32")
    y = (x[:, :1] + x[:, 1:2] > 0).astype("float32")
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(keras.optimizers.Adam(3e-2), loss=focal_loss)

    def step(i: int) -> dict[str, float]:
        s = slice((i * 40) % 1600, (i * 40) % 1600 + 40)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
