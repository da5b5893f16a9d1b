"""Trouble with the log folder while training: training goes on, one warning, and what was written can be read."""

from __future__ import annotations

import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.data.provider import DataProvider

import tb_numstab
from tb_numstab.store.event_files import read_runs
from tests.support.readers import PROVIDERS, only_run, provided_runs


def training() -> Callable[[int], float]:
    """A step that adds 1 to a variable, measures itself, logs itself, and returns the variable's value."""
    total = tf.Variable(0.0)

    @tb_numstab.watch(every=1)
    @tf.function
    def train_step(x: tf.Tensor) -> tf.Tensor:
        return total.assign_add(x)

    def step(number: int) -> float:
        result = train_step(tf.constant(1.0))
        tb_numstab.log_step(number)
        return float(result)

    return step


def writing(log_dir: Path) -> AbstractContextManager[Any]:
    # Every event goes to the file at once, so that trouble shows in the step that meets it.
    context: AbstractContextManager[Any] = tf.summary.create_file_writer(str(log_dir), max_queue=0).as_default()
    return context


def test_folder_removed_while_training(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    step = training()
    with writing(tmp_path / "run"):
        assert step(0) == 1.0
        shutil.rmtree(tmp_path / "run")
        # TensorFlow's writer goes on into the file that has no name any more, and reports success.
        assert [step(number) for number in range(1, 6)] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert not (tmp_path / "run").exists()
    (message,) = said()
    assert "was removed while TensorFlow writes to it: what is logged there is lost" in message


def test_folder_removed_while_fitting(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    import keras

    class Remover(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                shutil.rmtree(tmp_path / "run")

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [Remover(), tb_numstab.NumericalHealth(str(tmp_path / "run"), every=1)]
    model.fit(np.ones((20, 2)), np.ones((20, 1)), batch_size=4, verbose=0, callbacks=callbacks)
    assert model.optimizer.iterations == 5
    (message,) = said()
    assert "was removed; logging begins anew" in message
    assert only_run(tmp_path / "run").sessions[0].steps == [2, 3, 4]


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond this size, in bytes: as on a full disk, part of a write may succeed."""
    limits, previous = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)


@pytest.mark.parametrize("max_queue", [0, 10])
def test_disk_full_for_a_while(max_queue: int, tmp_path: Path, said: Callable[[], list[str]]) -> None:
    step = training()
    writer = tf.summary.create_file_writer(str(tmp_path), max_queue=max_queue)
    with writer.as_default():
        step(0)
        writer.flush()
        (file,) = tmp_path.iterdir()
        with full_disk(file.stat().st_size + 100):
            assert [step(number) for number in range(1, 30)] == [float(number) for number in range(2, 31)]
        assert [step(number) for number in range(30, 60)] == [float(number) for number in range(31, 61)]
        writer.flush()
    (message,) = said()
    assert message.startswith("tb_numstab: the log could not be written, training goes on: ")
    assert "What is logged meanwhile is lost" in message
    data = only_run(tmp_path)
    assert data.sessions[0].steps[0] == 0
    assert data.sessions[0].steps[-1] == 59, "what was logged behind the gap can be read"
    assert "is damaged" in data.problems[0]


# The thread that writes for TensorFlow 1 dies of it, and says so itself.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_disk_full_while_a_session_trains(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        total = v1.get_variable("total", initializer=0.0)
        step = total.assign_add(tf.reduce_sum(tf.ones(3)))
        hook = tb_numstab.HealthHook(str(tmp_path), every=1)
        with full_disk(100), v1.train.SingularMonitoredSession(hooks=[hook]) as session:
            assert [session.run(step) for _ in range(20)] == [3.0 * number for number in range(1, 21)]
    assert hook.health is not None and hook.health.measured
    (message,) = said()
    assert message.startswith("tb_numstab: the log could not be written, training goes on: ")


def test_keras_into_a_folder_that_cannot_be(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    import keras

    (tmp_path / "file").touch()
    callback = tb_numstab.NumericalHealth(str(tmp_path / "file" / "run"), every=1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=4, verbose=0, callbacks=[callback])
    assert model.optimizer.iterations == 2
    assert callback.health is not None and callback.health.measured and callback.health.ok
    (message,) = said()
    assert "nothing is logged" in message or "could not be written" in message


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_two_writers_in_one_folder(provider: Callable[[Path], DataProvider], tmp_path: Path) -> None:
    one, other = training(), training()
    with writing(tmp_path) as first, writing(tmp_path) as second:
        for number in range(4):
            with first.as_default():
                one(number)
            with second.as_default():
                other(number)
    for runs in (read_runs(str(tmp_path)), provided_runs(provider(tmp_path))):
        (data,) = runs
        assert [session.steps for session in data.sessions] == [[0, 1, 2, 3]] * 2
        assert data.problems == []


def test_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, now = training(), time.time
    with writing(tmp_path):
        for number, jump in enumerate((0.0, 86400.0, -86400.0, 3600.0)):
            monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
            step(number)
    monkeypatch.undo()
    data = only_run(tmp_path)
    assert data.sessions[0].steps == [0, 1, 2, 3]
    assert data.problems == []
    assert [record.step for record in data.sessions[0].records()] == [0, 1, 2, 3]
