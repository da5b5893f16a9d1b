"""What is said while training runs, and when training is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tests.instrument.kinds import BAD, EVERY, STEPS, WIDTH, batch, descend
from tests.instrument.kinds.keras_fits import X, Y, model_of


def train(logdir: Path, bad: int = BAD, **options: Any) -> None:
    """Takes the logarithm of zero at step ``bad``."""
    w = tf.Variable(tf.ones([WIDTH]))

    @tb_numstab.watch(every=EVERY, **options)
    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))
        descend(tape, loss, w)
        return loss

    with tf.summary.create_file_writer(str(logdir)).as_default():
        for i in range(STEPS):
            step(tf.constant(batch(BAD if i == bad else BAD + 1)))
            tb_numstab.log_step(i)


def test_one_line_for_a_finding(
    tmp_path: Path, said: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path)
    (line,) = said()
    text = Path(__file__).read_text().splitlines()
    number = next(i for i, t in enumerate(text, 1) if "tf.math.log" in t)
    assert line == (
        f"tb_numstab: step {BAD}: error at {__file__}:{number}: Log got 0 in 1 of 8 elements, and log(0) = -Inf. "
        "Keep the argument away from 0."
    )
    assert caplog.records[0].levelno == logging.ERROR


def test_silence_on_a_healthy_run(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    train(tmp_path, bad=-1)
    assert said() == []


def test_ignore_writes_and_says_nothing(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    train(tmp_path, on_nonfinite="ignore")
    assert said() == []
    assert tb_numstab.load_run(str(tmp_path)).findings[0].first_step == BAD


def test_raise_names_origin_line_and_fix_and_the_record_is_on_disk(tmp_path: Path) -> None:
    with pytest.raises(tb_numstab.NonFiniteError) as caught:
        train(tmp_path, on_nonfinite="raise")
    message = str(caught.value)
    source = caught.value.finding.site.source
    assert message.startswith(f"step {BAD}: error at {source}: Log got 0")
    assert message.endswith("Keep the argument away from 0.")
    # Read while the writer is still open: flushed, not just written.
    assert tb_numstab.load_run(str(tmp_path)).findings[0].rule == caught.value.finding.rule


def test_raise_stops_fit(tmp_path: Path) -> None:
    def loss(y: Any, p: Any) -> Any:
        return -y * tf.math.log(p)

    health = tb_numstab.NumericalHealth(str(tmp_path), every=EVERY, on_nonfinite="raise")
    model = model_of(loss)
    with pytest.raises(tb_numstab.NonFiniteError, match=rf"step {BAD}: error at \S+: Log got 0"):
        model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[health])
    assert int(model.optimizer.iterations) == BAD + 1


def test_a_skipped_step_of_a_loss_scale_is_no_error(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(1)])
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**30)
        model.compile(scaled, "mse")
    finally:
        keras.config.set_dtype_policy("float32")
    health = tb_numstab.NumericalHealth(str(tmp_path), every=1, on_nonfinite="raise")
    x = np.concatenate([batch(i) for i in range(BAD)])
    model.fit(x, x.sum(1), batch_size=8, verbose=0, epochs=4, callbacks=[health])

    assert float(scaled.dynamic_scale) < 2.0**30, "no step was skipped"
    assert [line for line in said() if "error" in line] == []


@pytest.mark.parametrize("value", ["stop", None, True])
def test_an_unknown_choice_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="on_nonfinite must be one of"):
        tb_numstab.watch(on_nonfinite=value)(lambda: None)
