# Source: kornia/kornia#918, fizyr/keras-retinanet#706, mkocabas/focal-loss-keras#5
# Focal loss with gamma < 1, gradient of 0 ** 0.5.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="focal_loss_gamma_half",
    buggy=True,
    kind="pow-grad-zero",
    origin_op_type="Pow",
    origin_source_marker="# BUG",
    source="kornia/kornia#918; fizyr/keras-retinanet#706; mkocabas/focal-loss-keras#5",
    steps=140,
    style="keras-fit",
)


def focal_loss(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    right = tf.where(y > 0.5, p, 1.0 - p)
    weight = tf.pow(1.0 - right, 0.5)  # BUG
    return -tf.reduce_mean(weight * tf.math.log(right + 1e-7))


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
