# Source: DEBAR and RANUM op lists (Cosh), tracel-ai/burn#5373
# Log-cosh loss as log(cosh(x)): Cosh overflows float32 above 89.4.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="log_cosh_by_hand",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Cosh",
    origin_source_marker="# BUG",
    source="DEBAR; RANUM",
    steps=80,
    style="keras-fit",
)


def log_cosh(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.math.log(tf.cosh(p - y)))  # BUG


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1600, 5).astype("float32")
    price = np.repeat(np.linspace(5, 200, 80), 20)[:, None]  # prices rise over the years
    y = (price * (1 + 0.3 * np.tanh(x[:, :1]))).astype("float32")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2), loss=log_cosh)

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
