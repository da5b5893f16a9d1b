"""tf-keras: Keras 2 models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tests.instrument.kinds import WIDTH, Kind, Watching, log_of_sum, ones, run
from tests.instrument.kinds.keras_fits import X, Y, fit, fit_by_hand, log_loss


def model_of(loss: Any, **options: Any) -> Any:
    """A compiled model that gives every row its weighted sum."""
    dense = tf_keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", input_shape=(WIDTH,))
    model = tf_keras.Sequential([dense])
    model.compile(tf_keras.optimizers.Adam(1e-3), loss, **options)
    return model


def keras2_fit(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss))


def keras2_four_steps_per_execution(watching: Watching) -> Sequence[Any]:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    return fit(watching, model_of(log_loss, steps_per_execution=4), data)


def keras2_train_on_batch(watching: Watching) -> Sequence[Any]:
    return fit_by_hand(watching, model_of(log_loss))


def keras2_run_eagerly(watching: Watching) -> Sequence[Any]:
    return fit(watching, model_of(log_loss, run_eagerly=True))


def keras2_older_optimizer(watching: Watching) -> Sequence[Any]:
    """It has a method where later ones have a property, and makes its variables in the first step."""
    w, optimizer = ones(), tf_keras.optimizers.legacy.Adam(1e-3)
    loss_of = log_of_sum(w)

    @tf.function
    def step(x: Any) -> Any:
        optimizer.minimize(lambda: loss_of(x), [w])
        return loss_of(x)

    run(watching, step)
    return [w, *optimizer.variables()]


KINDS: tuple[Kind, ...] = (
    keras2_fit,
    keras2_four_steps_per_execution,
    keras2_train_on_batch,
    keras2_run_eagerly,
    keras2_older_optimizer,
)
