# Source: tensorflow/tensorflow#58138 ("when using Adam and setting the model to bfloat16, the loss does not decrease")
# beta_2 = 0.999 is 1 in bfloat16: the bias correction 1 - beta_2 ** t, and with it every update, is 0.
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="silent_bf16_adam_beta",
    buggy=True,
    kind="silent-underflow",
    origin_op_type="Sub|Cast|Pow",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#58138",
    steps=50,
    style="bfloat16 keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1000, 12).astype("float32")
    y = (x @ r.randn(12, 1)).astype("float32")
    layers = [
        keras.layers.Dense(32, activation="tanh", dtype="bfloat16"),
        keras.layers.Dense(1, dtype="bfloat16"),
    ]
    model = keras.Sequential([keras.Input((12,)), *layers])
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")  # BUG

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1000, (i * 20) % 1000 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
