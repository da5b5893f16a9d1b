"""A bad value that only the variables show, in the last steps of a loop: found when the training is over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import tb_numstab
from tests.instrument.kinds import BAD, EVERY, batch, ones


def silent_step() -> Any:
    """A watched step that returns nothing."""
    w = ones()

    @tb_numstab.watch(every=EVERY, on_nonfinite="raise")
    @tf.function
    def step(x: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(x * w), 1)))
        w.assign_sub(0.01 * tape.gradient(loss, w))

    return step


def train(writer: Any) -> Any:
    """Trains up to the bad batch and one further; nothing is known yet. Returns the step, which must live on."""
    step = silent_step()
    with writer.as_default():
        for i in range(BAD + 2):
            step(tf.constant(batch(i)))
            health = tb_numstab.log_step(i)
    assert health.ok
    return step


def another_run(_: Any) -> None:
    with tf.summary.create_file_writer("other").as_default():
        tb_numstab.log_step(0)


def close(writer: Any) -> None:
    writer.close()


@pytest.mark.parametrize("end", [another_run, close])
def test_the_end_of_a_run_judges_its_last_steps(
    end: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = tf.summary.create_file_writer("run")
    step = train(writer)
    end(writer)
    found = tb_numstab.load_run("run").findings[0]
    assert (found.first_step, found.site.op_type) == (BAD, "SqrtGrad")
    del step


def test_the_end_of_the_program_judges_its_last_steps(tmp_path: Path) -> None:
    """Though the writer is gone by then."""
    script = (
        "import sys, tensorflow as tf\n"
        "from tests.instrument.test_last_steps import train\n"
        "step = train(tf.summary.create_file_writer(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(rf"step {BAD}: error at \S+: SqrtGrad ", done.stderr)
    assert "Traceback" not in done.stderr
    found = tb_numstab.load_run(str(tmp_path)).findings[0]
    assert (found.first_step, found.site.op_type) == (BAD, "SqrtGrad")


def leave(log_dir: str) -> None:
    """Forks a process that ends at once, as a data loader may, and leaves the loop at the bad loss, before log_step."""
    step = silent_step()
    with tf.summary.create_file_writer(log_dir).as_default():
        for i in range(BAD + 1):
            step(tf.constant(batch(i)))
            if i == 1 and os.fork() == 0:
                sys.exit()
            if i == BAD:
                sys.exit("the loss is not finite")
            tb_numstab.log_step(i)


def test_a_process_that_forks_and_leaves_the_loop_at_a_bad_loss(tmp_path: Path) -> None:
    """The forked process has none of TensorFlow's threads; the bad step was given no number."""
    script = "import sys; from tests.instrument.test_last_steps import leave; leave(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,  # it waits for the forked process to close the pipe
    )
    assert (done.returncode, "the loss is not finite" in done.stderr) == (1, True), done.stderr
    found = tb_numstab.load_run(str(tmp_path)).findings[0]
    assert (found.first_step, found.site.op_type) == (BAD, "SqrtGrad")


def test_a_function_that_goes_on_is_not_disturbed(tmp_path: Path) -> None:
    """It changes the writer between two steps."""
    step = silent_step()
    for i in range(BAD + 1):
        with tf.summary.create_file_writer(str(tmp_path / f"part{i // 3}")).as_default():
            step(tf.constant(batch(i)))
            assert tb_numstab.log_step(i).ok
