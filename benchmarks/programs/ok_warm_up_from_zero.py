# Source: healthy - learning rate 0 for the first ten steps, then a linear warm-up: updates of exactly 0
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_warm_up_from_zero",
    buggy=False,
    kind="healthy-zero-updates",
    origin_op_type=None,
    origin_source_marker=None,
    source="tutorial schedule: d_model ** -0.5 * min(step ** -0.5, step * warm_up ** -1.5), delayed",
    steps=60,
    style="keras-fit",
)


class Delayed(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras is untyped
    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return 1e-3 * tf.clip_by_value((tf.cast(step, tf.float32) - 10.0) / 20.0, 0.0, 1.0)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1200, 8).astype("float32")
    y = (x[:, :1] * x[:, 1:2]).astype("float32")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "gelu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(Delayed()), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
