"""Bad steps between two surveys: which steps are measured, and what an option changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tb_numstab.instrument import guard, journal, tap
from tests.instrument.kinds import BAD, EVERY, STEPS, WIDTH, batch


def train(logdir: Path, compiled: bool, returns_loss: bool, batches: list[int], **options: Any) -> list[int]:
    """Trains on these batches; returns the steps that have a record, as the log tells."""
    w = tf.Variable(tf.ones([WIDTH]))

    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(x * w), 1)))
        gradient = tape.gradient(loss, w)
        w.assign_sub(0.01 * gradient)
        # A parameter that recovers, so that each bad batch is news.
        w.assign(tf.where(tf.math.is_finite(w), w, tf.ones([WIDTH])))
        return tf.reduce_sum(gradient) if returns_loss else None

    watched = tb_numstab.watch(every=EVERY, **options)(tf.function(step) if compiled else step)
    with tf.summary.create_file_writer(str(logdir)).as_default():
        for i, index in enumerate(batches):
            watched(tf.constant(batch(index)))
            tb_numstab.log_step(i)
    return [int(s) for s in tb_numstab.load_run(str(logdir)).steps]


@pytest.mark.parametrize("compiled", [True, False])
def test_a_bad_step_is_measured_with_its_neighbours(compiled: bool, tmp_path: Path) -> None:
    steps = train(tmp_path, compiled, True, list(range(STEPS)))
    # What ran eagerly before the bad step is gone; a function can be run again.
    assert steps == [0, *([BAD - 1] if compiled else []), BAD, BAD + 1]


@pytest.mark.parametrize("compiled", [True, False])
def test_without_replay_only_surveys_are_measured(compiled: bool, tmp_path: Path) -> None:
    assert train(tmp_path, compiled, True, list(range(STEPS)), replay=False) == [0]


def test_a_function_that_is_first_called_later_is_replayed_at_once_and_measured_next(tmp_path: Path) -> None:
    phases = [tf.function(lambda x: tf.reduce_sum(x)), tf.function(lambda x: tf.reduce_sum(tf.math.log(x)))]

    @tb_numstab.watch(every=EVERY)
    def step(x: Any, phase: int) -> Any:
        return phases[phase](x)

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for i in range(STEPS):
            step(tf.constant(batch(i)), int(i >= BAD))
            health = tb_numstab.log_step(i)
    assert health.origin is not None and health.origin.step == BAD
    assert list(tb_numstab.load_run(str(tmp_path)).steps) == [0, BAD - 1, BAD, BAD + 1]


@pytest.mark.parametrize(("given", "found"), [("arrays", 6), ("tensors", 6), ("iterator", 6), ("the same tensor", 10)])
def test_variables_are_checked_early_where_inputs_are_large(
    given: str, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not more than the inputs of three steps are kept; the state is copied at every third step instead."""
    monkeypatch.setattr(journal, "INPUT_BYTES", int(2.5 * batch(0).nbytes))
    w, count = tf.Variable(tf.ones([WIDTH])), tf.Variable(-1)
    batches = iter(tf.data.Dataset.from_tensors(batch(0)).repeat())
    tensor = tf.constant(batch(0))

    @tb_numstab.watch(every=EVERY)
    @tf.function(reduce_retracing=True)
    def step(x: Any) -> None:
        count.assign_add(1)
        x = next(x) if given == "iterator" else x
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(tf.where(count == BAD, 0.0, x) * w), 1)))
        w.assign_sub(0.01 * tape.gradient(loss, w))

    arguments: dict[str, Callable[[], Any]] = {
        "arrays": lambda: batch(0),
        "tensors": lambda: tf.constant(batch(0)),
        "iterator": lambda: batches,
    }
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for i in range(found + 1):
            step(arguments.get(given, lambda: tensor)())
            health = tb_numstab.log_step(i)
            assert health.ok == (i < found)
    assert health.origin is not None and health.origin.step == BAD


def test_a_call_that_pulls_too_much_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(tap, "CALL_BYTES", 8 * WIDTH)
    w = tf.Variable(tf.ones([WIDTH]))
    batches = iter(tf.data.Dataset.range(100).map(float))

    @tb_numstab.watch(every=3)
    @tf.function
    def step(source: Any) -> Any:
        for _ in tf.range(8 * WIDTH):
            w.assign_add(next(source) * tf.ones([WIDTH]))
        return tf.reduce_sum(w)

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for i in range(3):
            step(batches)
            tb_numstab.log_step(i)
    assert w.numpy().tolist() == [1.0 + sum(range(3 * 8 * WIDTH))] * WIDTH
    measured, replayed = said()
    assert "step is not measured: one call takes more than 2 GB from its iterator" in measured
    assert "steps that are not measured cannot be replayed: TooLarge" in replayed


def test_a_model_that_is_compiled_again_goes_on_being_watched(tmp_path: Path) -> None:
    """As in fine-tuning: the callback is the same, the training function is not."""
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    health = tb_numstab.NumericalHealth(str(tmp_path), every=EVERY)
    for loss, first in (("mse", 6), (lambda y, p: -tf.math.log(p), BAD - 2)):
        model.compile(keras.optimizers.SGD(1e-3), loss)
        x = np.concatenate([batch(first + i) for i in range(4)])
        model.fit(x, x[:, :1], batch_size=8, shuffle=False, verbose=0, callbacks=[health])
    assert health.health is not None and health.health.origin is not None
    assert health.health.origin.step == 2
    assert health.health.findings[0].site.op_type == "Log"


def test_replays_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_REPLAYS", 2)
    good = BAD + 1
    steps = train(tmp_path, True, True, [good, BAD, good, good, good, BAD, good, good, good, BAD, good, good])
    assert steps == [0, 1, 2, 4, 5, 6]


def test_a_bad_step_of_a_function_that_returns_nothing_is_found_later(tmp_path: Path) -> None:
    w = tf.Variable(tf.ones([WIDTH]))

    @tb_numstab.watch(every=EVERY)
    @tf.function
    def step(x: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(x * w), 1)))
        w.assign_sub(0.01 * tape.gradient(loss, w))

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for i in range(12):
            step(tf.constant(batch(i)))
            health = tb_numstab.log_step(i)
    assert health.origin is not None and health.origin.step == BAD
    assert health.findings[0].site.op_type == "SqrtGrad"


def test_a_step_whose_loss_and_then_variables_are_news_is_written_once(tmp_path: Path) -> None:
    w = tf.Variable(tf.ones([WIDTH]))

    @tb_numstab.watch(every=EVERY)
    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.math.log(tf.reduce_sum(tf.square(x * w), 1)))
        w.assign_sub(0.01 * tape.gradient(loss, w))
        return loss

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for i in range(STEPS):
            step(tf.constant(batch(i)))
            health = tb_numstab.log_step(i)
    run = tb_numstab.load_run(str(tmp_path))
    assert list(run.steps) == [0, BAD - 1, BAD, BAD + 1]
    assert [run.record(int(s)).records_before for s in run.steps] == list(range(len(run.steps)))
    assert health.findings[0].count == sum(run.steps >= BAD)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_or_inf_from_a_dataset_is_said_to_be_in_the_data(bad: float, tmp_path: Path) -> None:
    x = np.ones((64, WIDTH), np.float32)
    y = np.ones((64, 1), np.float32)
    y[20] = bad
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    health = tb_numstab.NumericalHealth(str(tmp_path), every=EVERY)
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[health])
    assert health.health is not None
    (finding,) = health.health.findings
    assert (finding.rule, finding.first_step) == ("nonfinite-input", 5)
    assert finding.site.op_type == "IteratorGetNext"
