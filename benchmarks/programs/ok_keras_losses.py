# Source: healthy - Keras' own losses side by side: Poisson, KLDivergence, CosineSimilarity, LogCosh,
# BinaryFocalCrossentropy; with zero targets, zero vectors and saturated outputs
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="ok_keras_losses",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="keras.losses",
    steps=50,
    style="keras-fit, five outputs",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1000, 8).astype("float32")
    count = r.poisson(np.exp(0.5 * x[:, :1])).astype("float32")
    share = np.maximum(x[:, :4], 0)
    share = (share / np.maximum(share.sum(1, keepdims=True), 1e-6)).astype("float32")
    direction = x[:, 2:5] * (r.rand(1000, 1) > 0.1)  # some targets are the zero vector
    value, label = 50 * x[:, 5:6], (x[:, 6:7] > 0).astype("float32")
    inputs = keras.Input((8,))
    h = keras.layers.Dense(32, activation="relu")(inputs)
    outputs = [
        keras.layers.Dense(1, activation="softplus")(h),
        keras.layers.Dense(4, activation="softmax")(h),
        keras.layers.Dense(3)(h),
        keras.layers.Dense(1)(h),
        keras.layers.Dense(1, activation="sigmoid")(h),
    ]
    losses = [
        keras.losses.Poisson(),
        keras.losses.KLDivergence(),
        keras.losses.CosineSimilarity(),
        keras.losses.LogCosh(),
        keras.losses.BinaryFocalCrossentropy(),
    ]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(1e-2), loss=losses)

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1000, (i * 20) % 1000 + 20)
        targets = [count[s], share[s], direction[s], value[s], label[s]]
        return {"loss": float(model.train_on_batch(x[s], targets)[0])}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
