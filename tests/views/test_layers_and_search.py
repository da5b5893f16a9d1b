from typing import Any

import pytest

from tb_numstab.schema.ops import Frame, OpSite
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views import layers
from tb_numstab.views.layers import layers_view
from tb_numstab.views.op_search import MAX_FOUND, ops_view
from tb_numstab.views.subject import Subject, Subjects
from tests.views.subjects import subject_of, synthetic


def test_each_layer_has_its_four_kinds(healthy: Subject) -> None:
    view = layers_view(healthy)
    assert [layer["name"] for layer in view["layers"]] == [f"sequential/dense_{i}" for i in range(3)]
    for layer in view["layers"]:
        assert list(layer["kinds"]) == ["activations", "gradients", "weights", "updates"]
        for kind in layer["kinds"].values():
            assert len(kind["max_exp"]) == len(kind["nonfinite"]) == len(view["steps"]) == 80
            assert not any(kind["nonfinite"])


def test_curves_hold_the_largest_of_a_kinds_tensors(healthy: Subject) -> None:
    table = synthetic("healthy").sites
    slots = [i for i, s in enumerate(table) if s.layer == "sequential/dense_1" and s.role.value == "forward"]
    activations = layers_view(healthy)["layers"][1]["kinds"]["activations"]
    assert activations["tensors"] == len(slots)
    for step in (0, 40, 79):
        assert activations["max_exp"][step] == healthy.session.record(step).column("max_exp")[slots].max()


def test_updates_are_what_is_subtracted_from_the_variable() -> None:
    subject = subject_of("absorbed_updates")
    kinds = layers_view(subject)["layers"][0]["kinds"]
    # The story of this run: updates far below one unit in the last place of the weights.
    assert kinds["weights"]["highest"] - kinds["updates"]["highest"] > 24


def test_nan_is_marked(broken: Subject) -> None:
    kinds = layers_view(broken)["layers"][0]["kinds"]
    assert kinds["weights"]["nonfinite"] == [step >= 58 for step in range(80)]


def test_pages(monkeypatch: pytest.MonkeyPatch, healthy: Subject) -> None:
    monkeypatch.setattr(layers, "MAX_LAYERS", 2)
    view = layers_view(healthy, 2)
    assert (view["total"], view["first"]) == (3, 2)
    assert [layer["name"] for layer in view["layers"]] == ["sequential/dense_2"]
    assert layers_view(healthy, -7)["first"] == 0
    assert layers_view(healthy, 99)["layers"] == []


@pytest.mark.parametrize("query", ["log", "train.py:38 log", "TF.MATH.LOG(p)"])
def test_ops_are_found_by_what_one_remembers(broken: Subject, query: Any) -> None:
    found = ops_view(broken, query)
    assert "Log" in {op["op_type"] for op in found["ops"]}
    assert found["total"] == len(found["ops"])


def test_every_word_must_match_and_answers_are_bounded(broken: Subject) -> None:
    assert ops_view(broken, "log nowhere")["total"] == 0
    everything = ops_view(broken, "")
    assert everything["total"] == len(broken.session.table)
    assert len(everything["ops"]) == MAX_FOUND


def test_the_nearer_to_the_op_itself_the_words_are_the_earlier_it_comes() -> None:
    line = Frame("log.py", 3, "train_step", "y = f(x)")
    logits = Frame("log.py", 4, "train_step", "y = f(logits)")
    sites = [
        OpSite("Mul", "mul", frames=(line,)),
        OpSite("Sub", "sub", frames=(logits,)),
        OpSite("LogSoftmax", "p", frames=(line,)),
        OpSite("Log", "q", frames=(line,)),
    ]
    subject = Subjects().get(RunData("r", [Session("s", table=sites)]))
    for query in ("log", "LOG log.py:3"):
        assert ops_view(subject, query)["ops"][0]["op_type"] == "Log"
    assert [op["op_type"] for op in ops_view(subject, "log")["ops"]] == ["Log", "LogSoftmax", "Sub", "Mul"]
