# Source: workofart/ml-by-hand#85, tianweiy/CausVid#19
# bfloat16 weights lose small updates.
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="silent_bf16_weights",
    buggy=True,
    kind="silent-absorption",
    origin_op_type="AssignSubVariableOp",
    origin_source_marker="# BUG",
    source="workofart/ml-by-hand#85; tianweiy/CausVid#19",
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
    model.compile(optimizer=keras.optimizers.SGD(2e-5), loss="mse")  # BUG

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1000, (i * 20) % 1000 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
