import base64
import dataclasses
import json

import numpy as np
import pytest

from tb_numstab.views import op_page
from tb_numstab.views.op_page import op_view
from tb_numstab.views.subject import NotInData, Subject, Subjects
from tb_numstab.views.timeline import INF, NAN
from tests.views.subjects import as_run, run_of, synthetic


def key_of(subject: Subject, op_type: str) -> str:
    return subject.ops.keys[synthetic(subject.run.name).slot(op_type)]


def test_the_page_shows_the_step_where_the_trouble_began(broken: Subject) -> None:
    view = json.loads(json.dumps(op_view(broken, key_of(broken, "Log")), allow_nan=False))
    assert view["step"] == 57
    assert view["result"]["measure"]["neg_inf"] >= 1
    (operand,) = view["inputs"]
    assert operand["op"]["op_type"] == "Softmax"
    assert operand["measure"]["zero"] >= 1
    assert [c["op"]["op_type"] for c in view["consumers"]] == ["Mul"]
    assert view["findings"][0]["rule"].startswith("log")


def test_what_comes_into_a_loop_from_outside_is_told_apart() -> None:
    made = synthetic("healthy")
    slot = made.slot("Relu")
    table = tuple(dataclasses.replace(s, looped=i == slot) for i, s in enumerate(made.sites))
    subject = Subjects().get(as_run("healthy", dataclasses.replace(made, sites=table)))
    reader = subject.graph.consumers(slot).tolist()[0]
    assert [i["outside"] for i in op_view(subject, subject.ops.keys[slot])["inputs"]] == [True]
    assert not any(i["outside"] for i in op_view(subject, subject.ops.keys[reader])["inputs"])


def test_numbers_are_those_of_the_record(broken: Subject) -> None:
    slot = synthetic("nan_softmax_log").slot("Softmax")
    view = op_view(broken, broken.ops.keys[slot], 10)
    record = broken.session.record(10)
    measure = view["result"]["measure"]
    for name in ("size", "zero", "max_exp", "min_exp"):
        assert measure[name] == record.column(name)[slot]
    assert measure["max"] == record.column("max")[slot]
    assert measure["rms"] == pytest.approx((record.column("sum_sq")[slot] / record.column("size")[slot]) ** 0.5)


def test_a_histogram_is_trimmed_to_what_it_holds(broken: Subject) -> None:
    slot = synthetic("nan_softmax_log").slot("Softmax")
    histogram = op_view(broken, broken.ops.keys[slot], 10)["result"]["measure"]["histogram"]
    full = broken.session.record(10).histogram[slot]
    first = (histogram["first_exp"] - -149) // histogram["bin_width"]
    assert histogram["shares"][0] > 0
    assert histogram["shares"][-1] > 0
    assert full[first : first + len(histogram["shares"])].tolist() == histogram["shares"]
    assert full.sum() == sum(histogram["shares"])


@pytest.mark.parametrize(("asked", "shown"), [(None, 79), (12, 12), (10**9, 79), (-5, 0)])
def test_a_step_that_was_not_measured_falls_back_to_the_one_before(
    healthy: Subject, asked: int | None, shown: int
) -> None:
    view = op_view(healthy, healthy.ops.keys[0], asked)
    assert view["step"] == shown
    assert view["asked_step"] == (shown if asked is None else asked)


def test_between_two_records_the_earlier_one_is_shown(healthy: Subject) -> None:
    session = healthy.session
    thinned = dataclasses.replace(session, steps=session.steps[::10], encoded=session.encoded[::10])
    subject = Subjects().get(dataclasses.replace(healthy.run, sessions=[thinned]))
    view = op_view(subject, subject.ops.keys[0], 29)
    assert (view["step"], view["asked_step"]) == (20, 29)


def test_the_trend_holds_every_step_and_what_happened(broken: Subject) -> None:
    trend = op_view(broken, key_of(broken, "Log"))["trend"]
    assert trend["steps"] == list(range(80))
    assert [bool(m & (NAN | INF)) for m in trend["marks"]] == [step >= 57 for step in range(80)]


def test_the_histogram_over_steps_is_the_records_own(broken: Subject) -> None:
    slot = synthetic("nan_softmax_log").slot("Softmax")
    view = op_view(broken, broken.ops.keys[slot])["histogram"]
    shares = np.frombuffer(base64.b64decode(view["shares"]), np.uint8).reshape(len(view["steps"]), view["bins"])
    at = view["steps"].index(20)
    first = (view["first_exp"] - -149) // view["bin_width"]
    assert shares[at].tolist() == broken.session.record(20).histogram[slot][first : first + view["bins"]].tolist()


def test_a_long_run_gets_a_bounded_histogram_with_the_shown_step(
    monkeypatch: pytest.MonkeyPatch, healthy: Subject
) -> None:
    monkeypatch.setattr(op_page, "MAX_HISTOGRAM_STEPS", 30)
    view = op_view(healthy, healthy.ops.keys[0], 41)
    assert len(view["histogram"]["steps"]) <= 31
    assert {0, 41, 79} <= set(view["histogram"]["steps"])


def test_what_is_not_there_is_named(healthy: Subject) -> None:
    with pytest.raises(NotInData, match='no op "Nope:0"'):
        op_view(healthy, "Nope:0")
    empty = Subjects().get(run_of("healthy", 0))
    with pytest.raises(NotInData, match="No step"):
        op_view(empty, empty.ops.keys[0])
