"""Large logs, in small: many workers in one folder, and a session of many parts that is read as one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from tensorboard.data.provider import DataProvider

import tb_numstab
from benchmarks.crash import processes
from benchmarks.workers import run_workers
from tb_numstab.instrument import run_log
from tb_numstab.schema.names import parse_tag
from tb_numstab.store.event_files import read_runs
from tb_numstab.store.provider import ProviderReader
from tests.support.readers import CONTEXT, PROVIDERS


def test_of_many_workers_the_first_to_go_bad_is_named(tmp_path: Path) -> None:
    outcome = run_workers(processes(), tmp_path, workers=3)
    assert outcome.problems == []
    assert outcome.named == outcome.planned


def test_make_scale_in_small_answers_every_route_through_both_loaders() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.scale", "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for loader in ("data server", "Python"):
        assert f"{loader}: /compare: median" in done.stdout
        assert done.stdout.count(f"{loader}: first view") == 2  # of one long run, and of several


@pytest.fixture
def in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training of 12 steps whose records fill several parts."""
    monkeypatch.setattr(run_log, "PART_BYTES", 1000)
    weight = tf.Variable(tf.ones([8]))

    @tb_numstab.watch(every=1)
    @tf.function
    def train_step() -> tf.Tensor:
        return weight.assign_sub(0.1 * tf.sqrt(weight))

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for step in range(12):
            train_step()
            tb_numstab.log_step(step)
    return tmp_path


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_a_session_in_parts_is_read_as_one(in_parts: Path, provider: Callable[[Path], DataProvider]) -> None:
    behind = provider(in_parts)
    tags = behind.list_tensors(CONTEXT, experiment_id="", plugin_name="numstab")["."]
    parts = {parsed.part for tag in tags if (parsed := parse_tag(tag)) and parsed.chunk is None}
    assert parts == set(range(len(parts))) and len(parts) > 2
    reader = ProviderReader(behind)
    (listed,) = reader.summaries(CONTEXT, "")
    data = reader.run(CONTEXT, "", listed.name)
    (session,) = data.sessions
    (from_files,) = read_runs(str(in_parts))[0].sessions
    assert (from_files.steps, from_files.encoded) == (session.steps, session.encoded)
    assert (session.steps, data.problems) == (list(range(12)), [])
    assert (listed.sessions[0].records, listed.sessions[0].last_step) == (12, 11)
