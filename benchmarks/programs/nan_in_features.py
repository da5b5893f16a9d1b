# Source: keras-team/keras#12371, danielegrattarola/keras-gat#14, Nixtla/neuralforecast#186
# The data hold a NaN.
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="nan_in_features",
    buggy=True,
    kind="nan-input",
    origin_op_type="Placeholder",
    origin_source_marker="# BUG",
    source="keras-team/keras#12371; danielegrattarola/keras-gat#14; Nixtla/neuralforecast#186",
    steps=60,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 6).astype("float32")
    y = x[:, :1] * x[:, 1:2]
    x[700 + 20 * seed, 3] = np.nan  # a field that was left empty
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(24, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(3e-3), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}  # BUG

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
