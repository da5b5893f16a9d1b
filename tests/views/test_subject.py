import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tb_numstab.analysis.engine import Engine
from tb_numstab.schema.record import StepRecord, decode_record, encode_record
from tb_numstab.store import run_data
from tb_numstab.views import subject as subject_module
from tb_numstab.views.subject import NotInData, Subjects
from tb_numstab.views.timeline import CELL_BYTES, Timeline
from tests.views.subjects import run_of, synthetic


def test_growing_gives_what_starting_over_gives() -> None:
    subjects = Subjects()
    for records in (10, 40, 60, 80):
        subject = subjects.get(run_of("nan_softmax_log", records))
    fresh = Subjects().get(run_of("nan_softmax_log"))
    assert subject.findings == fresh.findings
    assert subject.verdict == fresh.verdict
    assert [c.last_step for c in subject.timeline.columns] == [c.last_step for c in fresh.timeline.columns]


def test_only_new_records_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def counted(data: bytes) -> StepRecord:
        decoded.append(data)
        return decode_record(data)

    subjects = Subjects()
    subjects.get(run_of("healthy", 40))
    monkeypatch.setattr(run_data, "decode_readable", counted)
    subjects.get(run_of("healthy", 45))
    assert len(decoded) == 5


def test_progress_is_told_while_the_answer_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects, run = Subjects(), run_of("healthy", 4)
    told: list[int] = []

    feed = Engine.feed

    def watched(engine: Engine, record: StepRecord) -> None:
        told.append(subjects.progress(run)[1])
        feed(engine, record)

    monkeypatch.setattr(Engine, "feed", watched)
    subjects.get(run)
    assert told == [0, 1, 2, 3]
    assert subjects.progress(run) == (run.sessions[0], 4)


def test_the_same_data_are_not_looked_at_twice() -> None:
    subjects, run = Subjects(), run_of("healthy", 5)
    assert subjects.get(run) is subjects.get(run)


def test_a_changed_past_starts_over() -> None:
    subjects = Subjects()
    run = run_of("healthy", 20)
    subjects.get(run)
    session = run.sessions[0]
    thinned = dataclasses.replace(
        run, sessions=[dataclasses.replace(session, steps=session.steps[::2], encoded=session.encoded[::2])]
    )
    subject = subjects.get(thinned)
    assert [c.last_step for c in subject.timeline.columns] == list(range(0, 20, 2))


def test_a_restart_is_another_session() -> None:
    first, second = run_of("nan_softmax_log"), run_of("healthy")
    renamed = [dataclasses.replace(r, session="later") for r in synthetic("healthy").records]
    later = dataclasses.replace(second.sessions[0], id="later", encoded=[encode_record(r) for r in renamed])
    run = dataclasses.replace(first, sessions=[first.sessions[0], later])
    subjects = Subjects()
    assert subjects.get(run).verdict.status.value == "healthy"
    assert subjects.get(run, first.sessions[0].id).verdict.status.value == "broken"


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(NotInData, match='no session "x"'):
        Subjects().get(run_of("healthy", 2), "x")
    empty = dataclasses.replace(run_of("healthy", 2), sessions=[])
    with pytest.raises(NotInData, match="no measurements yet"):
        Subjects().get(empty)


class Halt:
    """Stops the judging before one step's record is taken in, until told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        self.reached, self.go_on, self._step = threading.Event(), threading.Event(), step
        monkeypatch.setattr(run_data, "decode_readable", self._decode)

    def _decode(self, data: bytes) -> StepRecord:
        record = decode_record(data)
        if record.step == self._step:
            self.reached.set()
            assert self.go_on.wait(60)
        return record


def workers(run: str) -> list[threading.Thread]:
    """The threads that judge a run."""
    return [thread for thread in threading.enumerate() if thread.name == f"numstab {run}"]


def test_a_long_session_is_shown_as_far_as_it_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    halt = Halt(monkeypatch, step=30)
    subjects, run = Subjects(), run_of("nan_softmax_log")
    early = subjects.get(run, patience=0.0)
    assert (early.judged, early.is_whole) == (1, False)
    assert early.verdict.status.value != "broken"
    assert halt.reached.wait(60)
    assert subjects.progress(run)[1] == 30
    halt.go_on.set()
    whole = subjects.get(run)
    assert (whole.judged, whole.is_whole, whole.verdict.status.value) == (80, True, "broken")
    assert early.judged == 1 == len(early.timeline.columns)


def test_what_nobody_asks_for_is_judged_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject_module, "UNASKED", 0.0)
    halt = Halt(monkeypatch, step=30)
    subjects, run = Subjects(), run_of("nan_softmax_log")
    subjects.get(run, patience=0.0)
    halt.go_on.set()
    for thread in workers("nan_softmax_log"):
        thread.join()
    assert subjects.progress(run)[1] <= 31
    fresh = Subjects().get(run)
    assert subjects.get(run).findings == fresh.findings
    assert subjects.progress(run)[1] == 80


def test_a_session_that_grows_while_it_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    halt = Halt(monkeypatch, step=30)
    subjects, short, long = Subjects(), run_of("nan_softmax_log", 40), run_of("nan_softmax_log")
    subjects.get(short, patience=0.0)
    assert halt.reached.wait(60)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(subjects.get, long, None, 0.0)
        halt.go_on.set()
        early = asked.result()
    assert early.session is long.sessions[0] and 30 < early.judged <= 80
    assert subjects.get(long).findings == Subjects().get(long).findings


def test_two_who_ask_at_once_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    halt = Halt(monkeypatch, step=0)
    subjects, run = Subjects(), run_of("healthy", 20)
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(subjects.get, run) for _ in range(4)]
        assert halt.reached.wait(60)
        assert len(workers("healthy")) == 1
        halt.go_on.set()
    assert all(answer.result() is asked[0].result() for answer in asked)


def test_what_goes_wrong_in_the_background_is_raised_where_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> StepRecord:
        raise ZeroDivisionError("on purpose")

    subjects, run = Subjects(), run_of("healthy", 5)
    with monkeypatch.context() as patch:
        patch.setattr(run_data, "decode_readable", broken)
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            subjects.get(run)
    assert subjects.get(run).judged == 5


def test_a_record_that_failed_half_way_is_not_taken_in_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects, run, feed = Subjects(), run_of("nan_softmax_log"), Timeline.feed

    def failing(timeline: Timeline, record: StepRecord, slots: int) -> None:
        if record.step == 60:
            raise ZeroDivisionError("on purpose")
        feed(timeline, record, slots)

    with monkeypatch.context() as patch:
        patch.setattr(Timeline, "feed", failing)
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            subjects.get(run)
    assert subjects.get(run).findings == Subjects().get(run).findings


def test_memory_is_told_as_it_grows() -> None:
    subjects = Subjects()
    assert subjects.nbytes == 0
    sizes = []
    for records in (10, 40):
        subjects.get(run_of("healthy", records))
        sizes.append(subjects.nbytes)
    slots = len(synthetic("healthy").sites)
    assert sizes[1] - sizes[0] == 30 * slots * CELL_BYTES
