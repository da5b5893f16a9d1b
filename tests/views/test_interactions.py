import pytest

from tb_numstab.views import interactions
from tb_numstab.views.interactions import Filter, interactions_view
from tb_numstab.views.op_page import op_view
from tb_numstab.views.outlook import outlook_view
from tb_numstab.views.subject import NotInData, Subject, Subjects
from tests.views.subjects import as_run, growing, run_of, subject_of, synthetic


@pytest.fixture(scope="module")
def overflow() -> Subject:
    """A float16 Mul overflows at step 33."""
    return subject_of("fp16_overflow")


def test_the_step_of_the_verdict_is_shown_with_the_ranges_that_meet(overflow: Subject) -> None:
    view = interactions_view(overflow)
    assert view["step"] == 33
    mul = next(
        i for i in view["interactions"] if i["op"]["key"] == overflow.ops.keys[synthetic("fp16_overflow").slot("Mul")]
    )
    assert (mul["effect"], mul["certainty"]) == ("overflows", "event")
    tops = [operand["measure"]["max_exp"] for operand in mul["operands"]]
    assert abs(tops[0] - tops[1]) == mul["gap"]


def test_counts_are_of_all_and_filters_narrow_the_list(overflow: Subject) -> None:
    everything = interactions_view(overflow)
    assert sum(c["count"] for c in everything["counts"]) == everything["total"]
    for count in everything["counts"]:
        only = {name: count[name] for name in ("kind", "effect", "certainty")}
        view = interactions_view(overflow, only=Filter(**only))
        assert view["total"] == count["count"]
        assert all(only.items() <= i.items() for i in view["interactions"])
        assert view["counts"] == everything["counts"]
    assert {i["kind"] for i in everything["interactions"] if i["op"]["op_type"] == "Mul"} == {"product"}
    assert interactions_view(overflow, only=Filter(effect="nonsense"))["total"] == 0


def test_a_long_list_comes_in_parts(monkeypatch: pytest.MonkeyPatch, overflow: Subject) -> None:
    whole = [i["op"]["key"] for i in interactions_view(overflow)["interactions"]]
    monkeypatch.setattr(interactions, "MAX_INTERACTIONS", 2)
    parts = [interactions_view(overflow, first=first)["interactions"] for first in range(0, len(whole), 2)]
    assert [i["op"]["key"] for part in parts for i in part] == whole
    assert len(interactions_view(overflow, first=-3)["interactions"]) == 2


def test_an_unrecorded_step_and_an_empty_session() -> None:
    subject = subject_of("healthy")
    view = interactions_view(subject, 10**6)
    assert (view["step"], view["asked_step"]) == (79, 10**6)
    with pytest.raises(NotInData):
        interactions_view(Subjects().get(run_of("healthy", 0)))


def test_the_op_page_says_what_the_gap_did(overflow: Subject) -> None:
    key = overflow.ops.keys[synthetic("fp16_overflow").slot("Mul")]
    assert op_view(overflow, key, 33)["interaction"]["effect"] == "overflows"
    assert op_view(overflow, key, 0)["interaction"] is None


def test_steady_growth_is_extrapolated_to_the_limit() -> None:
    outlook = outlook_view(Subjects().get(as_run("grown", growing(0, 2.0))), 0)
    assert outlook is not None
    left = 128 - (40 + 2.0 * 19)
    assert outlook["step"] == 19
    assert outlook["bits"] == pytest.approx(left, abs=0.01)
    assert outlook["low"] <= outlook["steps"] <= outlook["high"]
    assert outlook["steps"] == pytest.approx(left / 2.0, rel=0.05)


@pytest.mark.parametrize("bits_per_step", [0.0, -2.0])
def test_without_growth_nothing_is_foretold(bits_per_step: float) -> None:
    assert outlook_view(Subjects().get(as_run("grown", growing(0, bits_per_step))), 0) is None


def test_no_healthy_tensor_has_an_outlook(healthy: Subject) -> None:
    assert [slot for slot in range(len(healthy.session.table)) if outlook_view(healthy, slot) is not None] == []


def test_after_the_end_nothing_is_foretold(broken: Subject) -> None:
    assert outlook_view(broken, synthetic("nan_softmax_log").slot("Log")) is None
