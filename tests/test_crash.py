"""A few trials of benchmarks.crash: what a killed training has logged is there, and a restart leaves it there."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from benchmarks.crash import Trial, evidence, processes, run_trial, train
from tb_numstab.store.event_files import read_runs

AFTER_THE_BAD_STEP = Trial(bad_step=7, kill_after=8, delay=0.0)
LONG_AFTER = Trial(bad_step=3, kill_after=30, delay=0.005)
BEFORE = Trial(bad_step=30, kill_after=12, delay=0.002)


@pytest.fixture(scope="module")
def context() -> Iterator[ForkServerContext]:
    yield processes()


@pytest.mark.parametrize("trial", [AFTER_THE_BAD_STEP, LONG_AFTER], ids=["at once", "long after"])
def test_a_bad_step_that_has_returned_is_never_lost(context: ForkServerContext, tmp_path: Path, trial: Trial) -> None:
    outcome = run_trial(context, tmp_path, trial)
    assert outcome.went_bad
    assert outcome.losses == ()
    assert len(read_runs(str(tmp_path))[0].measured) == 2


def test_a_kill_before_anything_went_wrong_leaves_a_readable_log(context: ForkServerContext, tmp_path: Path) -> None:
    outcome = run_trial(context, tmp_path, BEFORE)
    assert not outcome.went_bad
    assert outcome.losses == ()


def test_lost_evidence_would_be_noticed(context: ForkServerContext, tmp_path: Path) -> None:
    process = context.Process(target=train, args=(str(tmp_path), 9, 3))
    process.start()
    process.join()
    records, losses = evidence(tmp_path, AFTER_THE_BAD_STEP, went_bad=True)
    assert records == 1
    assert losses == ["step 7 went bad and is not named"]
