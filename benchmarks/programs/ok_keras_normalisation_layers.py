# Source: healthy - Keras' normalisation layers in mixed_float16 on images with black and constant regions
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="ok_keras_normalisation_layers",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="keras.layers",
    steps=40,
    style="mixed-precision keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = (255 * r.rand(800, 8, 8, 3)).astype("float32")
    y = x[:, :, :, 0].mean((1, 2))[:, None] / 255
    x[:, :, :4] *= r.rand(800, 1, 1, 1) > 0.2  # black borders
    scale = keras.layers.Normalization(dtype="float32")
    scale.adapt(x)
    half = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            scale,
            keras.layers.Conv2D(8, 3, dtype=half),
            keras.layers.BatchNormalization(dtype=half),
            keras.layers.ReLU(dtype=half),
            keras.layers.Conv2D(8, 3, dtype=half),
            keras.layers.GroupNormalization(4, dtype=half),
            keras.layers.GlobalMaxPooling2D(dtype=half),
            keras.layers.LayerNormalization(dtype=half),
            keras.layers.UnitNormalization(dtype=half),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(5e-3)), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 800, (i * 20) % 800 + 20)
        return {"loss": float(model.train_on_batch(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
