"""benchmarks.soak: it runs, and it complains of each thing that may not grow."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak import REPORTS, Sample, complaints

ROOT = Path(__file__).parent.parent
START = Sample(
    steps=0, step_ms=1.0, resident_mb=600, log_bytes=0, threads=8, python_threads=1, open_files=7, graphs=20, nodes=900
)
STEADY = [replace(START, steps=k * 100, log_bytes=k * 5000) for k in range(1, REPORTS + 1)]


def test_a_short_soak_runs_and_nothing_grows_but_the_log() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--steps", "100", "--every", "5"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    grown = [
        name for name in ("threads grew", "files grew", "graphs grew", "nodes grew", "log grew") if name in ran.stderr
    ]
    assert grown == []
    assert ran.stdout.count(" steps ") >= REPORTS


def test_a_steady_run_is_no_complaint() -> None:
    assert complaints(STEADY) == []


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"resident_mb": 900}, "memory grew by 300 MB"),
        ({"threads": 9}, "threads grew from 8 to 9"),
        ({"open_files": 8}, "open files grew"),
        ({"graphs": 21}, "graphs grew"),
        ({"nodes": 901}, "nodes grew"),
        ({"log_bytes": 500_000}, "the log grew faster than the steps"),
    ],
)
def test_what_grew_is_told(changed: dict[str, int], complaint: str) -> None:
    (found,) = complaints([*STEADY[:-1], replace(STEADY[-1], **changed)])
    assert found.startswith(complaint)


def test_slower_steps_are_told() -> None:
    half = len(STEADY) // 2
    slower = [*STEADY[:half], *(replace(sample, step_ms=2.0) for sample in STEADY[half:])]
    assert complaints(slower) == ["a step took 2.0 times as long in the second half"]
