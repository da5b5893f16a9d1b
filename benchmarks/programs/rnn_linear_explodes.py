# Source: keras-team/keras#2134, #3040, ageron/handson-ml2#32
# A recurrence without squashing over a long sequence, no clipping.
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="rnn_linear_explodes",
    buggy=True,
    kind="exploding-gradient",
    origin_op_type="MatMul|Mul|AddV2",
    origin_source_marker="# BUG",
    source="keras-team/keras#2134, #3040",
    steps=220,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.rand(400, 100, 4).astype("float32")
    y = (x[:, :, 0].sum(1, keepdims=True) / 5).astype("float32")
    start = keras.initializers.Identity(0.9)
    warm_up = keras.optimizers.schedules.PolynomialDecay(1e-7, 200, 3e-3)
    model = keras.Sequential(
        [
            keras.Input((100, 4)),
            keras.layers.SimpleRNN(16, activation=None, recurrent_initializer=start),  # BUG
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(warm_up), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 400, (i * 20) % 400 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
