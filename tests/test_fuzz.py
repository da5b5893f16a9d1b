"""A short run of the fuzzer: logs full of nonsense are read without an exception."""

from __future__ import annotations

from pathlib import Path

import pytest

from tb_numstab.analysis.engine import analyse
from tb_numstab.store.event_files import read_runs
from tests.fuzz import read_everything, write_nonsense
from tests.support.runs import SyntheticRun, make_run

SEEDS = range(20)


@pytest.fixture(scope="module")
def run() -> SyntheticRun:
    return make_run("nan_softmax_log", steps=6)


@pytest.mark.parametrize("seed", SEEDS)
def test_nonsense_is_read(run: SyntheticRun, tmp_path: Path, seed: int) -> None:
    write_nonsense(run, tmp_path, seed)
    assert read_everything(tmp_path) >= 1


def test_the_nonsense_is_of_every_sort(run: SyntheticRun, tmp_path: Path) -> None:
    """Some of it is caught while reading, some of it reaches the analysis and means something there."""
    for seed in SEEDS:
        write_nonsense(run, tmp_path / str(seed), seed)
    runs = read_runs(str(tmp_path))
    problems = " ".join(problem for data in runs for problem in data.problems)
    rules = {f.rule for data in runs for session in data.measured for f in analyse(session).findings}
    assert "op table" in problems and "step records" in problems
    assert rules
