"""tf-keras: Keras 2 models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tests.instrument.kinds import STEPS, WIDTH, Kind, Watching, batch
from tests.instrument.kinds.keras_fits import X, Y, log_loss


def model_of(loss: Any, **options: Any) -> Any:
    """A compiled model that gives every row its weighted sum."""
    dense = tf_keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", input_shape=(WIDTH,))
    model = tf_keras.Sequential([dense])
    model.compile(tf_keras.optimizers.Adam(1e-3), loss, **options)
    return model


def trained(model: Any) -> Sequence[Any]:
    """Everything that a fit changes."""
    return [*model.variables, *model.optimizer.variables]


def keras2_fit(watching: Watching) -> Sequence[Any]:
    model = model_of(log_loss)
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=watching.callbacks())
    return trained(model)


def keras2_four_steps_per_execution(watching: Watching) -> Sequence[Any]:
    model = model_of(log_loss, steps_per_execution=4)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    model.fit(data, verbose=0, callbacks=watching.callbacks())
    return trained(model)


def keras2_train_on_batch(watching: Watching) -> Sequence[Any]:
    model = model_of(log_loss)
    watching.attach(model)
    for i in range(STEPS):
        model.train_on_batch(batch(i), Y[:8])
    watching.finish()
    return trained(model)


def keras2_run_eagerly(watching: Watching) -> Sequence[Any]:
    model = model_of(log_loss, run_eagerly=True)
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=watching.callbacks())
    return trained(model)


KINDS: tuple[Kind, ...] = (
    keras2_fit,
    keras2_four_steps_per_execution,
    keras2_train_on_batch,
    keras2_run_eagerly,
)
