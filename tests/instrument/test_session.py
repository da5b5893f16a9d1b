"""HealthHook where TensorFlow 1 differs: no eager execution, old variables, old loops, other runs of the session."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tests.instrument.kinds import BAD, EVERY, STEPS, WIDTH, batch

v1 = tf.compat.v1

WITHOUT_EAGER = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
{variables}
import tb_numstab

x = tf.placeholder(tf.float32, [None, 4])
w = tf.get_variable("w", initializer=np.ones(4, np.float32))
steps, total = tf.while_loop(lambda i, s: i < 4, lambda i, s: [i + 1, s + x[:, i] * w[i]], [0, tf.zeros_like(x[:, 0])])
loss = -tf.reduce_mean(tf.log(total))
train = tf.train.GradientDescentOptimizer(0.01).minimize(loss, global_step=tf.train.get_or_create_global_step())
bad = np.ones([2, 4], np.float32)
bad[0] = 0
hook = tb_numstab.HealthHook("logs", every=1000)
with tf.train.MonitoredSession(hooks=[hook]) as session:
    for i in range(6):
        session.run(train, {{x: bad if i == 3 else np.ones([2, 4], np.float32)}})
finding = hook.health and hook.health.verdict.finding
print(finding and (finding.first_step, finding.rule, finding.site.source.line))
"""


def run_script(tmp_path: Path, variables: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "train.py"
    script.write_text(WITHOUT_EAGER.format(variables=variables))
    return subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_without_eager_execution_and_with_loops_of_the_old_kind(tmp_path: Path) -> None:
    run = run_script(tmp_path, "tf.enable_resource_variables()")
    line = WITHOUT_EAGER.splitlines().index("loss = -tf.reduce_mean(tf.log(total))") + 1
    assert run.returncode == 0, run.stderr
    finding = tb_numstab.load_run(str(tmp_path / "logs")).findings[0]
    assert (finding.first_step, finding.site.source and finding.site.source.line) == (3, line)
    assert run.stdout.strip() == str((3, finding.rule, line))


def test_variables_of_the_old_kind_are_refused_with_a_sentence(tmp_path: Path) -> None:
    run = run_script(tmp_path, "")
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "None"
    said = [line for line in run.stderr.splitlines() if line.startswith("tb_numstab:")]
    assert len(said) == 1 and "call tf.compat.v1.enable_resource_variables()" in said[0]


def train(hook: tb_numstab.HealthHook) -> None:
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, WIDTH])
        w = v1.get_variable("w", initializer=np.ones(WIDTH, np.float32))
        norm = tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(x * w), 1)))
        step = v1.train.GradientDescentOptimizer(0.01).minimize(norm)
        with v1.train.MonitoredSession(hooks=[hook]) as session:
            for i in range(STEPS):
                session.run(step, {x: batch(i)})


def test_what_only_the_variables_show_is_found_one_step_later_and_named_at_its_own(tmp_path: Path) -> None:
    hook = tb_numstab.HealthHook(str(tmp_path), every=EVERY)
    train(hook)
    assert hook.health is not None and hook.health.origin is not None
    assert hook.health.origin.step == BAD
    assert hook.health.findings[0].site.op_type == "SqrtGrad"
    assert list(tb_numstab.load_run(str(tmp_path)).steps) == [0, BAD]


def test_raise(tmp_path: Path) -> None:
    with pytest.raises(tb_numstab.NonFiniteError, match=f"step {BAD}: error"):
        train(tb_numstab.HealthHook(str(tmp_path), every=EVERY, on_nonfinite="raise"))


def test_without_replay_only_surveys(tmp_path: Path) -> None:
    train(tb_numstab.HealthHook(str(tmp_path), every=4, replay=False))
    assert list(tb_numstab.load_run(str(tmp_path)).steps) == list(range(0, STEPS, 4))


def test_a_file_in_the_place_of_the_log_folder(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    (tmp_path / "file").write_text("")
    hook = tb_numstab.HealthHook(str(tmp_path / "file" / "logs"), every=1, on_nonfinite="ignore")
    train(hook)
    assert hook.health is not None and hook.health.origin is not None
    assert any("nothing is logged" in message for message in said())


@pytest.mark.parametrize("fed", [1.0, [1.0] * WIDTH, np.ones(WIDTH), np.float64(1), np.ones(WIDTH, np.int64)])
def test_what_is_fed_is_measured_in_the_format_of_its_placeholder(
    fed: Any, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    """A Python number or numpy's default float64 is a float32 once it is fed to one."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, None)
        w = v1.get_variable("w", initializer=np.ones(WIDTH, np.float32))
        step = w.assign_add(tf.math.log(x) + x + tf.zeros(WIDTH))
        with v1.train.MonitoredSession(hooks=[tb_numstab.HealthHook(str(tmp_path), every=1)]) as session:
            session.run(step, {x: fed})
    run = tb_numstab.load_run(str(tmp_path))
    largest = {site.op_type: value for site, value in zip(run.table, run.column("max")[0], strict=True)}
    assert (largest["Placeholder"], largest["Log"], largest["AssignAddVariableOp"]) == (1.0, 0.0, 2.0)
    assert said() == []


@pytest.mark.parametrize("after", ["average", "bound", "look"])
def test_a_variable_that_is_read_or_updated_again_after_its_update_has_lost_nothing(after: str, tmp_path: Path) -> None:
    """TensorFlow 1 averages weights, or clips them, behind the optimizer and in the same step."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, WIDTH])
        w = v1.get_variable("w", initializer=np.ones(WIDTH, np.float32))
        loss = tf.reduce_mean(tf.square(tf.reduce_sum(x * w, 1) - 1.0))
        update = v1.train.GradientDescentOptimizer(0.01).minimize(loss)
        with tf.control_dependencies([update]):
            then = {
                "average": lambda: tf.train.ExponentialMovingAverage(0.9).apply([w]),
                "bound": lambda: w.assign(tf.clip_by_value(w.read_value(), -1.0, 1.0)),
                "look": lambda: tf.reduce_sum(w.read_value()),
            }[after]()
        hook = tb_numstab.HealthHook(str(tmp_path), every=1)
        with v1.train.MonitoredSession(hooks=[hook]) as session:
            for i in range(STEPS):
                session.run(then, {x: batch(i) if i != BAD else np.full_like(batch(i), np.inf)})
    assert hook.health is not None
    discarded = after == "bound"  # the clip makes a finite number of NaN
    assert [(f.rule, f.first_step) for f in hook.health.findings] == [("nonfinite-input", BAD)] * (not discarded)
