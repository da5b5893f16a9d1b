# Source: healthy - a separable problem: the hinge loss and every gradient become exactly 0, Adam and its moments decay
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="ok_hinge_converged",
    buggy=False,
    kind="healthy-converged",
    origin_op_type=None,
    origin_source_marker=None,
    source="keras.losses.Hinge on separable data",
    steps=120,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(2000, 5).astype("float32")
    x = x[np.abs(x[:, 0] + x[:, 1]) > 0.8][:600]
    y = np.sign(x[:, :1] + x[:, 1:2]).astype("float32")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(2e-2), loss=keras.losses.Hinge())

    def step(i: int) -> dict[str, float]:
        s = slice((i * 30) % 600, (i * 30) % 600 + 30)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
