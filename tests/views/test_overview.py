import dataclasses
import json

from tb_numstab.views.overview import overview_view, runs_view, verdict_only_view
from tb_numstab.views.subject import Subject, Subjects
from tests.views.subjects import run_of, subject_of


def test_runs_are_listed_without_decoding_a_record() -> None:
    run = run_of("healthy", 3)
    broken = dataclasses.replace(run.sessions[0], encoded=[b"damaged"] * 3)
    listed = runs_view([dataclasses.replace(run, sessions=[broken], problems=["A sentence."]).summary()])
    assert listed["runs"] == [
        {
            "name": "healthy",
            "sessions": [{"id": broken.id, "worker": "", "records": 3, "first_step": 0, "last_step": 2}],
            "problems": ["A sentence."],
        }
    ]


def test_the_broken_run_tells_op_line_and_cause(broken: Subject) -> None:
    view = json.loads(json.dumps(overview_view(broken), allow_nan=False))
    assert view["verdict"]["status"] == "broken"
    assert view["verdict"]["step"] == 57
    worst = view["findings"][0]
    assert (worst["op"]["op_type"], worst["first_step"], worst["severity"]) == ("Log", 57, "error")
    assert worst["op"]["source"]["line"] == 38
    assert "tf.math.log(p)" in worst["op"]["source"]["text"]
    assert worst["why"][-2]["op"]["op_type"] == "Softmax"
    assert worst["why"][-1]["text"].startswith("warned of since step 0; at step 56: Log gets ")
    assert worst["fix"]["text"]


def test_every_key_in_the_findings_opens(broken: Subject) -> None:
    for finding in overview_view(broken)["findings"]:
        for op in (finding["op"], *(hop["op"] for hop in finding["why"])):
            assert broken.ops.slot(op["key"]) is not None


def test_the_healthy_run_has_nothing_to_say(healthy: Subject) -> None:
    view = overview_view(healthy)
    assert view["verdict"]["status"] == "healthy"
    assert view["findings"] == []
    assert view["formats"] == ["float32"]


def test_a_run_without_a_record_has_no_verdict() -> None:
    run = run_of("healthy", 0)
    view = overview_view(Subjects().get(run))
    assert view["verdict"] is None
    assert view["session"]["records"] == 0


def test_the_verdict_alone_is_the_overviews(broken: Subject) -> None:
    view = overview_view(broken)
    assert verdict_only_view(broken) == {
        "run": "nan_softmax_log",
        "verdict": view["verdict"],
        "judged": view["judged"],
        "records": view["session"]["records"],
    }


def test_a_verdict_with_the_latest_numbers_does_not_give_them_for_the_first_step() -> None:
    assert "since step 2, train.py:43" in subject_of("absorbed_updates").verdict.text
    assert "at step 57, train.py:38" in Subjects().get(run_of("nan_softmax_log", 58)).verdict.text
