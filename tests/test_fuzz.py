"""A short run of the fuzzer: hostile logs are read without an exception, in bounded time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tb_numstab.analysis.engine import analyse
from tb_numstab.report.html import build_report
from tb_numstab.store.event_files import read_runs
from tests.fuzz import ask_everything, read_everything, write_nonsense, write_tangle
from tests.support.hostile import BOMBS, LONG, MARKUP, write_bomb, write_damaged
from tests.support.runs import SyntheticRun, make_run

SEEDS = range(20)


@pytest.fixture(scope="module")
def run() -> SyntheticRun:
    return make_run("nan_softmax_log", steps=6)


@pytest.mark.parametrize("seed", SEEDS)
def test_nonsense_is_read(run: SyntheticRun, tmp_path: Path, seed: int) -> None:
    write_nonsense(run, tmp_path, seed)
    assert read_everything(tmp_path) >= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_ops_in_circles_come_to_an_end(tmp_path: Path, seed: int) -> None:
    write_tangle(make_run("nan_softmax_log", steps=60), tmp_path, seed)
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


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_bytes_are_read(run: SyntheticRun, tmp_path: Path, seed: int) -> None:
    write_damaged(run, tmp_path, seed)
    read_everything(tmp_path)
    ask_everything(tmp_path)


@pytest.mark.parametrize("seed", range(len(BOMBS)), ids=list(BOMBS))
def test_a_bomb_costs_no_more_than_its_own_event(run: SyntheticRun, tmp_path: Path, seed: int) -> None:
    write_bomb(run, tmp_path, seed)
    (data,) = read_runs(str(tmp_path))
    assert {run.records[0].step, run.records[1].step} <= set(data.sessions[0].steps)
    assert data.sessions[0].table[: len(run.sites)] == run.sites
    assert max(len(site.name) for site in data.sessions[0].table) < len(LONG) / 1000
    ask_everything(tmp_path)


def test_markup_in_a_log_stays_text_in_a_report(run: SyntheticRun, tmp_path: Path) -> None:
    write_bomb(run, tmp_path, list(BOMBS).index("names of 2 MB with markup"))
    assert MARKUP.encode() not in build_report(read_runs(str(tmp_path)), "A report").encode()
