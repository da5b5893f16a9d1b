"""A healthy classifier: scaled inputs, a loss from logits, the Keras callback. The tab has nothing to say."""

from __future__ import annotations

import keras

import tb_numstab

from . import digits


def main(log_dir: str) -> None:
    """Trains with ``model.fit`` and measures every tenth step."""
    keras.utils.set_random_seed(0)
    (images, labels), test = digits.load()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        images,
        labels,
        batch_size=64,
        epochs=8,
        verbose=0,
        callbacks=[tb_numstab.NumericalHealth(log_dir, every=10)],
    )
    print(f"healthy: test accuracy {model.evaluate(*test, verbose=0)[1]:.0%}")
