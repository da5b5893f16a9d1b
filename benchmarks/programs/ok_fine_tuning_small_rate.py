# Source: healthy - fine-tuning a trained head with Adam at 2e-6: small updates, but every weight moves
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="ok_fine_tuning_small_rate",
    buggy=False,
    kind="healthy-small-updates",
    origin_op_type=None,
    origin_source_marker=None,
    source="usual fine-tuning recipe",
    steps=60,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 16).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int32")
    backbone = keras.layers.Dense(64, activation="tanh", trainable=False)
    model = keras.Sequential([keras.Input((16,)), backbone, keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(2e-6), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
