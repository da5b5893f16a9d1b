# Source: keras-team/keras#590, #18886, tensorflow/tensorflow#47019
# Poisson regression with an exponential output, features not scaled.
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="poisson_exp_link_keras",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="keras-team/keras#590, #18886; tensorflow/tensorflow#47019",
    steps=100,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    size = np.repeat(np.geomspace(1, 2000, 100), 20)[:, None]  # files sorted by size
    x = (size * r.uniform(0.5, 1.5, (2000, 3))).astype("float32")
    y = r.poisson(0.3 * x.sum(1, keepdims=True)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(1, activation="exponential"),  # BUG
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3, clipvalue=1.0), loss="poisson")

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
