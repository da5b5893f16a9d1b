import dataclasses
import threading

import pytest

from tb_numstab.analysis.engine import Engine
from tb_numstab.schema.record import StepRecord, decode_record, encode_record
from tb_numstab.store import run_data
from tb_numstab.views import subject as subject_module
from tb_numstab.views.subject import NotInData, Subjects
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


def test_a_long_session_is_shown_as_far_as_it_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, decode = threading.Event(), decode_record

    def halting(data: bytes) -> StepRecord:
        record = decode(data)
        if record.step == 30:
            go_on.wait()
        return record

    monkeypatch.setattr(run_data, "decode_readable", halting)
    monkeypatch.setattr(subject_module, "PUBLISHED_EVERY", 0.0)
    subjects, run = Subjects(), run_of("nan_softmax_log")
    early = subjects.get(run, patience=0.0)
    while early.judged < 30:
        early = subjects.get(run, patience=0.01)
    assert early.verdict.status.value != "broken"
    assert [c.last_step for c in early.timeline.columns] == list(range(30))
    go_on.set()
    whole = subjects.get(run)
    assert (whole.judged, whole.verdict.status.value) == (80, "broken")
    assert early.judged == 30 == len(early.timeline.columns)


def test_what_goes_wrong_in_the_background_is_raised_where_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> StepRecord:
        raise ZeroDivisionError("on purpose")

    subjects, run = Subjects(), run_of("healthy", 5)
    with monkeypatch.context() as patch:
        patch.setattr(run_data, "decode_readable", broken)
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            subjects.get(run)
    assert subjects.get(run).judged == 5


def test_a_verdict_outlives_its_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects, run = Subjects(), run_of("nan_softmax_log", 60)
    first = subjects.get(run).verdict
    monkeypatch.setattr(subject_module, "MAX_SUBJECTS", 0)
    subjects.get(run_of("healthy", 5))  # makes room
    monkeypatch.setattr(run_data, "decode_readable", None)  # nothing is judged again
    assert subjects.verdict(run) is first
    assert first.status.value == "broken"


def test_a_verdict_of_fewer_records_is_not_kept() -> None:
    subjects = Subjects()
    assert subjects.verdict(run_of("nan_softmax_log", 20)).status.value != "broken"
    assert subjects.verdict(run_of("nan_softmax_log", 60)).status.value == "broken"
