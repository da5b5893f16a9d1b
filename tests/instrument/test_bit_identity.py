"""Watching must not change a single bit of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tests.instrument.trainings import TRAININGS

STEPS = 50


@pytest.mark.parametrize("name", TRAININGS)
def test_weights_are_bit_identical_with_and_without_watching(name: str) -> None:
    plain = TRAININGS[name]()
    losses = [float(plain.step(i)) for i in range(STEPS)]

    watched = TRAININGS[name]()
    step = tb_numstab.watch(every=3)(watched.step)
    watched_losses, measured = [], 0
    for i in range(STEPS):
        watched_losses.append(float(step(i)))
        measured += tb_numstab.log_step(i).measured

    assert measured == 17
    np.testing.assert_array_equal(losses, watched_losses)
    assert plain.state() == watched.state()


def test_the_comparison_can_fail() -> None:
    one, other = TRAININGS["sgd"](), TRAININGS["sgd"]()
    one.step(0)
    assert one.state() != other.state()


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_fit_from_a_dataset_sees_every_batch_once(steps_per_execution: int, tmp_path: Path) -> None:
    def run(callbacks: list[Any]) -> list[bytes]:
        keras.utils.set_random_seed(1)
        random = np.random.RandomState(2)
        x = random.rand(96, 5).astype("float32")
        data = tf.data.Dataset.from_tensor_slices((x, x.sum(1, keepdims=True))).shuffle(96, seed=3).batch(8)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.01), "mse", steps_per_execution=steps_per_execution)
        model.fit(data, epochs=2, verbose=0, callbacks=callbacks)
        return [np.asarray(v).tobytes() for v in [*model.variables, *model.optimizer.variables]]

    health = tb_numstab.NumericalHealth(str(tmp_path), every=2)
    assert run([]) == run([health])
    assert health.health is not None and health.health.ok
