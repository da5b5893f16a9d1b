"""Keras models: fit and train_on_batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.instrument.kinds import BAD, STEPS, WIDTH, Kind, Watching, batch
from tests.instrument.kinds.functions import angles

X, Y = np.concatenate([batch(i) for i in range(16)]), np.ones([128, 1], np.float32)


def log_loss(y: Any, p: Any) -> Any:
    """A loss with a logarithm."""
    return -y * tf.math.log(p)  # origin


def model_of(loss: Any, policy: str = "float32", optimizer: Any = None, **options: Any) -> Any:
    """A compiled model that gives every row its weighted sum."""
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((WIDTH,)), dense])
        model.compile(optimizer or keras.optimizers.Adam(1e-3), loss, **options)
    finally:
        keras.config.set_dtype_policy(before)
    return model


def trained(model: Any) -> Sequence[Any]:
    """Everything that a fit changes."""
    return [*model.variables, *model.optimizer.variables]


def fit(watching: Watching, model: Any, data: Any = None, **options: Any) -> Sequence[Any]:
    """Fits the 16 batches in order."""
    source = {"x": X, "y": Y, "batch_size": 8} if data is None else {"x": data}
    model.fit(**source, shuffle=False, verbose=0, callbacks=watching.callbacks(), **options)
    return trained(model)


def fit_by_hand(watching: Watching, model: Any) -> Sequence[Any]:
    """Batch by batch."""
    watching.attach(model)
    for i in range(STEPS):
        model.train_on_batch(batch(i), Y[:8])
    watching.finish()
    return trained(model)


def fit_numpy(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss))


def fit_dataset(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss), tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).prefetch(2))


def fit_in_epochs(watching: Watching) -> Sequence[Any]:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()
    return fit(watching, model_of(log_loss), data, epochs=4, steps_per_epoch=4)


def fit_jit(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, jit_compile=True))


def fit_jit_only(watching: Watching) -> Sequence[Any]:
    """Finite op by op, NaN where XLA contracts the arithmetic."""

    def loss(angle: Any, p: Any) -> Any:
        zero = 1.0 - tf.sin(angle) * tf.sin(angle) - tf.cos(angle) * tf.cos(angle)
        return p + tf.stop_gradient(tf.sqrt(zero))  # origin

    good, bad = (np.repeat(angle, 8)[:, None] for angle in angles())
    y = np.concatenate([bad if i == BAD else good for i in range(16)])
    data = tf.data.Dataset.from_tensor_slices((X, y)).batch(8)
    return fit(watching, model_of(loss, jit_compile=True), data)


def fit_without_jit(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, jit_compile=False))


def fit_auto_jit(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, jit_compile="auto"))


def four_steps_per_execution(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, steps_per_execution=4))


def train_on_batch(watching: Watching) -> Sequence[Any]:
    return fit_by_hand(watching, model_of(log_loss))


def run_eagerly(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, run_eagerly=True))


def accumulated_gradients(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, optimizer=keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2)))


def averaged_weights(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, optimizer=keras.optimizers.SGD(1e-3, use_ema=True)))


def weighted_samples(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss), sample_weight=np.linspace(0.5, 1.5, 128, dtype=np.float32))


def mixed_float16(watching: Watching) -> Sequence[Any]:
    """The loss scale hides bad gradients; a bad loss it cannot hide."""
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3), initial_scale=1024.0)
    return fit(watching, model_of(log_loss, "mixed_float16", optimizer))


def mixed_bfloat16(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, "mixed_bfloat16"))


def custom_train_step(watching: Watching) -> Sequence[Any]:
    class Model(keras.Model):  # type: ignore[misc]  # Keras is untyped
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(y * tf.math.log(self(x)))  # origin
            variables = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return {"loss": loss}

    model = Model()
    model.compile(keras.optimizers.SGD(1e-3))
    return fit(watching, model)


KINDS: tuple[Kind, ...] = (
    fit_numpy,
    fit_dataset,
    fit_in_epochs,
    fit_jit,
    fit_jit_only,
    fit_without_jit,
    fit_auto_jit,
    four_steps_per_execution,
    train_on_batch,
    run_eagerly,
    accumulated_gradients,
    averaged_weights,
    weighted_samples,
    mixed_float16,
    mixed_bfloat16,
    custom_train_step,
)
