"""What is kept in memory, what is forgotten, and that nobody notices."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.context import RequestContext

from tb_numstab.plugin.runs import Runs
from tb_numstab.store import run_data
from tb_numstab.views.subject import NotInData
from tests.support.readers import CONTEXT, CountingProvider, python_provider
from tests.support.runs import SyntheticRun, make_run
from tests.support.synthetic import SESSION, Recorder

CALLER = (CONTEXT, "")


@pytest.fixture
def provider(logdir: Path) -> CountingProvider:
    return CountingProvider(python_provider(logdir))


def steps_read(provider: CountingProvider) -> int:
    return sum(tag.endswith("/steps") for tag in provider.read)


def test_a_run_in_memory_is_not_read_again(provider: CountingProvider) -> None:
    runs = Runs(provider)
    first = runs.subject(CALLER, "healthy")
    runs.subject(CALLER, "fp16_overflow")
    assert runs.subject(CALLER, "healthy") is first
    assert steps_read(provider) == 2


def test_the_run_asked_for_least_recently_makes_room(provider: CountingProvider) -> None:
    runs = Runs(provider, max_bytes=0)
    runs.subject(CALLER, "healthy")
    broken = runs.subject(CALLER, "fp16_overflow")
    assert runs.subject(CALLER, "fp16_overflow") is broken  # the last one stays, whatever its size
    assert steps_read(provider) == 2
    runs.subject(CALLER, "healthy")
    assert steps_read(provider) == 3


def test_a_verdict_outlives_its_run(provider: CountingProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(provider, max_bytes=0)
    first = runs.verdict(CALLER, "nan_softmax_log")
    runs.verdict(CALLER, "healthy")
    monkeypatch.setattr(run_data, "decode_readable", None)  # nothing is judged again
    assert runs.verdict(CALLER, "nan_softmax_log") == first
    assert first["verdict"]["status"] == "broken" and first["judged"] == first["records"] == 80
    assert steps_read(provider) == 2


def test_a_verdict_on_a_part_is_not_kept(provider: CountingProvider) -> None:
    runs = Runs(provider)
    early = runs.verdict(CALLER, "nan_softmax_log", patience=0.0)
    assert early["judged"] < early["records"] == 80
    assert runs.verdict(CALLER, "nan_softmax_log")["judged"] == 80


def test_a_verdict_is_renewed_when_its_run_grows(tmp_path: Path) -> None:
    written = make_run("nan_softmax_log")
    with Recorder(tmp_path) as recorder:
        recorder.ops(written.sites)
        for record in written.records[:20]:
            recorder.step(record)
        recorder.flush()
        provider = CountingProvider(python_provider(tmp_path))
        runs = Runs(provider)
        assert runs.verdict(CALLER, ".")["verdict"]["status"] != "broken"
        for record in written.records[20:60]:
            recorder.step(record)
    provider.behind = python_provider(tmp_path)
    assert runs.verdict(CALLER, ".")["verdict"]["status"] == "broken"


def test_patience_covers_the_reading(provider: CountingProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    read = CountingProvider.read_tensors

    def slowly(self: CountingProvider, context: RequestContext, **options: Any) -> object:
        time.sleep(0.02)
        return read(self, context, **options)

    monkeypatch.setattr(CountingProvider, "read_tensors", slowly)
    assert Runs(provider).subject(CALLER, "healthy", patience=0.01).judged == 1


def test_a_run_that_is_deleted_is_forgotten(small: SyntheticRun, tmp_path: Path) -> None:
    for name in ("kept", "deleted"):
        small.write(tmp_path / name)
    provider = CountingProvider(python_provider(tmp_path))
    runs = Runs(provider)
    before = {name: runs.verdict(CALLER, name) for name in ("kept", "deleted")}
    shutil.rmtree(tmp_path / "deleted")
    provider.behind = python_provider(tmp_path)
    assert [run.name for run in runs.summaries(CALLER)] == ["kept"]
    for ask in (runs.subject, runs.verdict, runs.progress):
        with pytest.raises(NotInData, match='no run "deleted"'):
            ask(CALLER, "deleted")
    # A new training of that name is judged by what it wrote.
    with Recorder(tmp_path / "deleted") as recorder:
        recorder.ops(small.sites).step(replace(small.records[0], session=SESSION))
    provider.behind = python_provider(tmp_path)
    assert (before["deleted"]["records"], runs.verdict(CALLER, "deleted")["records"]) == (10, 1)


def test_what_leaves_while_it_is_asked_for_is_answered_all_the_same(provider: CountingProvider) -> None:
    runs = Runs(provider, max_bytes=0)
    names = ["healthy", "nan_softmax_log", "fp16_overflow"] * 4
    with ThreadPoolExecutor(max_workers=6) as threads:
        answers = list(threads.map(lambda name: runs.subject(CALLER, name), names))
    for name, subject in zip(names, answers, strict=True):
        assert (subject.run.name, subject.judged) == (name, 80)
        assert (subject.verdict.status.value == "healthy") == (name == "healthy")
