# Source: fix of batch_norm_by_hand_jit: keras BatchNormalization on a channel that is constant, L2 regularisation,
# learning-rate decay
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="ok_batch_norm_constant_channel",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of Tencent/ncnn#303",
    steps=60,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.rand(900, 8, 8, 3).astype("float32")
    y = x[:, :, :, 0].mean((1, 2))[:, None]
    x[:, :, :, 2] = 1.0  # an alpha channel that is always opaque
    x[:60, :, :, 1] = 0.0
    decay = keras.optimizers.schedules.CosineDecay(0.02, 60)
    l2 = keras.regularizers.L2(1e-4)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(6, 3, activation="relu", kernel_regularizer=l2),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, kernel_regularizer=l2),
        ]
    )
    model.compile(keras.optimizers.SGD(decay, momentum=0.9), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice(i * 15, i * 15 + 15)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
