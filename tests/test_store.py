"""Every way to read a run gives the same RunData; a live run is re-read cheaply."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.context import RequestContext
from tensorboard.data.provider import DataProvider, RunTagFilter

from tb_numstab.schema.names import ops_tag, steps_tag
from tb_numstab.schema.record import decode_record, encode_record
from tb_numstab.store.decoded import DecodedHistograms
from tb_numstab.store.event_files import LogFolder, read_runs
from tb_numstab.store.provider import ProviderReader
from tests.support.readers import CONTEXT, PROVIDERS, CountingProvider, only_run, provided_runs, python_provider
from tests.support.runs import SCENARIOS, SyntheticRun, make_run
from tests.support.synthetic import SESSION, START, Recorder

LATER = "20250102T040000-00000001"


# ---- the readers agree ------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_provider_reads_what_event_files_hold(provider: Callable[[Path], DataProvider], logdir: Path) -> None:
    runs = provided_runs(provider(logdir))
    assert runs == read_runs(str(logdir))
    assert [run.name for run in runs] == sorted(SCENARIOS)
    assert all(len(run.sessions[0].steps) == 80 and not run.problems for run in runs)


def test_run_comes_back_as_it_was_measured(logdir: Path) -> None:
    (run,) = read_runs(str(logdir), run="nan_softmax_log")
    (session,) = run.sessions
    written = make_run("nan_softmax_log")
    assert session.id == SESSION
    assert session.table == written.sites
    assert session.steps == list(range(80))
    for step, record in zip(session.steps, session.records(), strict=True):
        assert session.record(step).step == record.step == step
        np.testing.assert_array_equal(record.column("nan"), written.records[step].column("nan"))
    assert session.record(79).first_nonfinite == (57, written.slot("Log"))


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_runs_have_the_names_tensorboard_gives(
    provider: Callable[[Path], DataProvider], small: SyntheticRun, tmp_path: Path
) -> None:
    for folder in (".", "a", "a/b c"):
        small.write(tmp_path / folder)
    names = [run.name for run in read_runs(str(tmp_path))]
    assert names == [r.name for r in provided_runs(provider(tmp_path))] == [".", "a", "a/b c"]


def test_run_that_is_not_there(logdir: Path) -> None:
    with pytest.raises(KeyError, match="no such"):
        ProviderReader(python_provider(logdir)).run(CONTEXT, "", "no such")
    assert read_runs(str(logdir), run="no such") == []


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_runs(str(tmp_path / "missing"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        read_runs(str(tmp_path / "file"))


def test_link_to_a_folder_above_ends(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path / "run")
    (tmp_path / "run" / "up").symlink_to(tmp_path)
    assert [run.name for run in read_runs(str(tmp_path))] == ["run"]


def test_progress_names_each_file(logdir: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    read_runs(str(logdir), progress=lambda *call: calls.append(call))
    assert [(done, total) for _, done, total in calls] == [(0, 4), (1, 4), (2, 4), (3, 4)]


# ---- sampling, restarts, repeated steps -------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_sampled_records_are_said_to_be_missing(provider: Callable[[Path, int], DataProvider], logdir: Path) -> None:
    run = ProviderReader(provider(logdir, 25)).run(CONTEXT, "", "nan_softmax_log")
    assert len(run.sessions[0].steps) == 25
    assert run.sessions[0].record(79).first_nonfinite is not None
    (problem,) = run.problems
    assert "wrote 80 step records, of which 25 are here" in problem


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_restart_is_another_session(
    provider: Callable[[Path], DataProvider], small: SyntheticRun, tmp_path: Path
) -> None:
    small.write(tmp_path)
    with Recorder(tmp_path, LATER, start=START + 1000) as run:
        run.ops(small.sites)
        for record in small.records[:4]:
            run.step(replace(record, session=LATER))
    (data,) = provided_runs(provider(tmp_path))
    assert [(s.id, s.steps) for s in data.sessions] == [(SESSION, list(range(10))), (LATER, list(range(4)))]
    assert read_runs(str(tmp_path)) == [data]


def test_step_logged_twice_counts_as_it_was_logged_last(small: SyntheticRun, tmp_path: Path) -> None:
    first, second = small.records[3], replace(small.records[3], notes=("again",), wall_time=START + 99)
    with Recorder(tmp_path) as run:
        run.ops(small.sites).step(second).step(first).step(small.records[1])
    (session,) = only_run(tmp_path).sessions
    assert session.steps == [1, 3]
    assert session.record(3).notes == ("again",)


def test_wall_times_that_are_no_numbers_sort_first(small: SyntheticRun, tmp_path: Path) -> None:
    odd = replace(small.records[3], wall_time=float("nan"), notes=("odd",))
    with Recorder(tmp_path) as run:
        run.ops(small.sites).step(small.records[3]).step(odd)
    (session,) = only_run(tmp_path).sessions
    assert session.record(3).notes == ()


def test_step_that_was_not_measured(small: SyntheticRun, tmp_path: Path) -> None:
    (session,) = only_run(small.write(tmp_path)).sessions
    with pytest.raises(KeyError):
        session.record(10)


def test_op_table_grows_by_chunks(small: SyntheticRun, tmp_path: Path) -> None:
    with Recorder(tmp_path) as run:
        run.ops(small.sites[:50]).step(small.records[0]).ops(small.sites[50:])
    data = only_run(tmp_path)
    assert data.sessions[0].table == small.sites
    assert data.problems == []


def test_histograms_decoded_last_are_kept_within_a_limit(small: SyntheticRun) -> None:
    data = [encode_record(record) for record in small.records]
    largest = max(len(d) + r.slots.nbytes // 2 + r.histogram.nbytes for d, r in zip(data, small.records, strict=True))
    kept = DecodedHistograms(max_bytes=3 * largest)
    first = [kept.get(d) for d in data[:3]]
    assert all(kept.get(d) is histograms for d, histograms in zip(data, first, strict=False))
    kept.get(data[3])  # makes room by dropping data[0], the one used least recently
    assert kept.get(data[1]) is first[1]
    assert kept.get(data[0]) is not first[0]


def test_histograms_are_those_of_the_record_and_hold_nothing_else(small: SyntheticRun) -> None:
    data = encode_record(small.records[3])
    record, found = decode_record(data), DecodedHistograms().get(data)
    for row, slot in enumerate(record.slots.tolist()):
        np.testing.assert_array_equal(found.of(slot), record.histogram[row])
    assert found.of(len(small.sites)) is None
    assert found.histogram.base is None or found.histogram.base.nbytes == found.histogram.nbytes
    with pytest.raises(ValueError, match="read-only"):
        found.histogram[0, 0] = 1


# ---- re-reading a live run --------------------------------------------------------------------


def test_unchanged_run_is_not_read_again(small: SyntheticRun, tmp_path: Path) -> None:
    provider = CountingProvider(python_provider(small.write(tmp_path)))
    reader = ProviderReader(provider)
    first = reader.run(CONTEXT, "", ".")
    assert provider.read == [steps_tag(SESSION), ops_tag(SESSION, 0)]
    assert reader.run(CONTEXT, "", ".") is first
    assert len(provider.read) == 2


def test_growing_run_reads_only_what_grew(small: SyntheticRun, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path).ops(small.sites).step(small.records[0])
    recorder.flush()
    provider = CountingProvider(python_provider(tmp_path))
    reader = ProviderReader(provider)
    first = reader.run(CONTEXT, "", ".")
    recorder.step(small.records[1]).close()
    provider.behind, provider.read = python_provider(tmp_path), []  # as after TensorBoard's own reload
    second = reader.run(CONTEXT, "", ".")
    assert provider.read == [steps_tag(SESSION)]
    assert (first.sessions[0].steps, second.sessions[0].steps) == ([0], [0, 1])


def test_a_run_is_read_again_after_it_was_forgotten(small: SyntheticRun, tmp_path: Path) -> None:
    provider = CountingProvider(python_provider(small.write(tmp_path)))
    reader = ProviderReader(provider)
    first, version = reader.run(CONTEXT, "", "."), reader.version(CONTEXT, "", ".")
    reader.forget("", ".")
    again = reader.run(CONTEXT, "", ".")
    assert again is not first and again == first
    assert len(provider.read) == 4
    assert reader.version(CONTEXT, "", ".") == version


def test_a_version_grows_with_the_run_and_reads_nothing(small: SyntheticRun, tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.ops(small.sites).step(small.records[0]).flush()
        provider = CountingProvider(python_provider(tmp_path))
        reader = ProviderReader(provider)
        before = reader.version(CONTEXT, "", ".")
        recorder.step(small.records[1])
    provider.behind = python_provider(tmp_path)
    assert reader.version(CONTEXT, "", ".") != before
    assert provider.read == []


def test_a_run_is_there_while_another_one_is_being_read(small: SyntheticRun, tmp_path: Path) -> None:
    for name in ("short", "long"):
        small.write(tmp_path / name)
    behind, reading, go_on = python_provider(tmp_path), threading.Event(), threading.Event()

    class Slow(CountingProvider):
        def read_tensors(self, context: RequestContext, *, run_tag_filter: RunTagFilter, **options: object) -> object:
            if "long" in run_tag_filter.runs:
                reading.set()
                assert go_on.wait(60)
            return super().read_tensors(context, run_tag_filter=run_tag_filter, **options)

    reader = ProviderReader(Slow(behind))
    with ThreadPoolExecutor() as threads:
        long = [threads.submit(reader.run, CONTEXT, "", "long") for _ in range(2)]
        assert reading.wait(60)
        assert reader.run(CONTEXT, "", "short").name == "short"
        go_on.set()
    assert long[0].result() is long[1].result()  # two asked, it was read once


def test_a_folder_trained_into_anew_keeps_nothing_of_its_former_session(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path / "before")
    provider = CountingProvider(python_provider(tmp_path / "before"))
    reader = ProviderReader(provider)
    former = weakref.ref(reader.run(CONTEXT, "", ".").sessions[0])
    with Recorder(tmp_path / "after", LATER) as recorder:
        recorder.ops(small.sites).step(replace(small.records[0], session=LATER))
    provider.behind = python_provider(tmp_path / "after")
    assert [session.id for session in reader.run(CONTEXT, "", ".").sessions] == [LATER]
    assert former() is None


def test_folder_read_again_takes_in_what_is_new(small: SyntheticRun, tmp_path: Path) -> None:
    other = small.write(tmp_path / "ended")
    with Recorder(tmp_path / "live") as recorder:
        recorder.ops(small.sites).step(small.records[0]).flush()
        folder = LogFolder(str(tmp_path))
        ended, live = folder.read()
        recorder.step(small.records[1])
    (file,) = other.iterdir()
    file.write_bytes(bytes(file.stat().st_size))  # what was read once is not read again
    again, grown = folder.read()
    assert again.sessions[0] is ended.sessions[0]
    assert (live.sessions[0].steps, grown.sessions[0].steps) == ([0], [0, 1])
    assert again.problems == grown.problems == []
