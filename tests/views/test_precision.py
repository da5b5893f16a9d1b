import json

import pytest

from tb_numstab.analysis.precision import CANDIDATES
from tb_numstab.store.run_data import RunData
from tb_numstab.views import precision
from tb_numstab.views.op_page import op_view
from tb_numstab.views.precision import precision_view
from tb_numstab.views.subject import Subject, Subjects
from tests.views.subjects import run_of, subject_of, synthetic


def test_every_candidate_is_advised_on(healthy: Subject) -> None:
    view = json.loads(json.dumps(precision_view(healthy), allow_nan=False))
    assert [a["format"] for a in view["advice"]] == list(CANDIDATES)
    assert [a["verdict"] for a in view["advice"][:3]] == ["in use", "fits", "fits"]
    assert (view["records"], view["computes_in"][0]["format"]) == (80, "float32")
    assert view["summary"][0] == "Either 16-bit format would do, with the weights kept in float32."
    assert view["code"] == 'keras.mixed_precision.set_global_policy("mixed_bfloat16")'
    (weights,) = [p for p in view["advice"][1]["parts"] if p["part"] == "weights"]
    assert weights["lost"] > 0.01


def test_updates_below_an_ulp_are_lost_in_every_format() -> None:
    for advice in precision_view(subject_of("absorbed_updates"))["advice"][:3]:
        (lost,) = [p["lost"] for p in advice["parts"] if p["part"] == "weights"]
        assert lost > 0.95


def test_a_run_in_mixed_float16_is_judged_by_what_it_counted() -> None:
    subject = subject_of("fp16_overflow")
    view = precision_view(subject)
    assert view["computes_in"][0]["format"] == "float16"
    float16 = view["advice"][2]
    assert float16["verdict"] == "in use"
    assert float16["loss_scale"] is None
    page = op_view(subject, subject.ops.keys[synthetic("fp16_overflow").slot("Mul")])
    assert [p["overflows"] for p in page["precision"]] == [False, False, False, False, True]


def test_steps_after_a_nan_do_not_count(broken: Subject) -> None:
    assert precision_view(broken)["records"] == 57


def test_long_lists_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MAX_KEPT", 0)
    kept = [a["keep"] for a in precision_view(subject_of("fp16_overflow"))["advice"]]
    assert all(k["ops"] == [] for k in kept)


def test_a_session_without_records_says_so() -> None:
    run = run_of("healthy", records=0)
    view = precision_view(Subjects().get(RunData("new", run.sessions)))
    assert (view["records"], view["advice"]) == (0, [])
    assert view["summary"] == ["No healthy step has been recorded yet."]


def test_the_op_page_has_each_format(healthy: Subject) -> None:
    slot = synthetic("healthy").slot("MatMul")
    shares = op_view(healthy, healthy.ops.keys[slot])["precision"]
    assert [s["format"] for s in shares] == list(CANDIDATES)
    assert all(0 <= s[k] <= 1 for s in shares for k in ("overflow", "underflow", "subnormal"))
