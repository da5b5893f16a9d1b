"""Sentences name one op, one variable and one step, so that a reader cannot take another one for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.graph import OpGraph, ordinal
from tb_numstab.analysis.narrate import called
from tb_numstab.schema.ops import Frame, OpSite, Role
from tests.analysis.programs import data, judge, op, returned_mean, update, variable
from tests.support.numpy_trace import Trace

LINE = (Frame("train.py", 7, "step", "loss = log(a) + log(b)"),)


def names(*sites: OpSite) -> list[str]:
    graph = OpGraph([replace(site, frames=LINE) for site in sites])
    return [called(graph, slot) for slot in range(graph.size)]


def test_of_two_ops_of_one_type_on_one_line_the_sentence_says_which() -> None:
    first, second = OpSite("Log", "Log"), OpSite("Log", "Log_1")
    assert names(first, OpSite("Exp", "Exp")) == ["Log", "Exp"]
    assert names(first, second) == ["Log (the 1st on its line)", "Log (the 2nd on its line)"]
    gradients = [replace(site, role=Role.GRADIENT) for site in (first, second)]
    assert names(first, *gradients)[2] == "Log (a gradient, the 2nd on its line)"


def test_a_layer_tells_ops_of_one_line_apart() -> None:
    assert names(OpSite("MatMul", "a/MatMul", layer="model/a"), OpSite("MatMul", "b/MatMul", layer="model/b")) == [
        "MatMul (in model/a)",
        "MatMul (in model/b)",
    ]


def test_a_name_scope_tells_ops_of_one_line_apart() -> None:
    assert names(OpSite("Sum", "Sum"), OpSite("Sum", "loss/mse/Sum")) == [
        "Sum (the 1st on its line)",
        "Sum (in loss/mse)",
    ]


def test_what_follows_the_gradients_is_told_by_that() -> None:
    assert (
        names(*[OpSite("Mul", f"Mul_{i}", role=Role.OPTIMIZER) for i in range(2)])
        == ["Mul (after backpropagation)"] * 2
    )


def test_another_trace_of_the_same_line_is_no_second_op() -> None:
    assert names(OpSite("Log", "Log", shape=(32,)), OpSite("Log", "Log", shape=(7,))) == ["Log", "Log"]


def test_the_outputs_of_one_op_are_no_two_ops() -> None:
    assert names(OpSite("Unpack", "Unpack"), OpSite("Unpack", "Unpack", output=1)) == ["Unpack", "Unpack"]


def test_a_variable_without_a_name_has_its_shape() -> None:
    unnamed = OpSite("AssignSubVariableOp", "op", shape=(64, 10), role=Role.UPDATE, variable="Variable")
    assert names(unnamed, replace(unnamed, role=Role.VARIABLE, variable="Variable_1", shape=(10,))) == [
        "the new value of Variable [64, 10]",
        "variable Variable_1 [10]",
    ]
    assert names(replace(unnamed, variable="dense/kernel")) == ["the new value of dense/kernel"]


def test_a_rule_says_which_op_and_which_variable() -> None:
    def step(trace: Trace, i: int) -> None:
        for value in (1.0, 0.0):
            x = data(trace, [value])
            returned_mean(trace, op(trace, "Log", np.log(x.array), x, line=3))
        update(trace, variable(trace, [1.0], name="Variable"), data(trace, [0.5]), name="Variable")

    (finding,) = judge(step).findings()
    assert finding.summary.startswith("Log (the 2nd on its line) got 0 in 1 of 1 elements")


@pytest.mark.parametrize(
    ("number", "written"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (113, "113th")]
)
def test_ordinals(number: int, written: str) -> None:
    assert ordinal(number) == written


def near_overflow(trace: Trace, i: int) -> None:
    x = data(trace, [80.0 + i])
    returned_mean(trace, op(trace, "Exp", np.exp(x.array), x))


def said(engine: Engine) -> tuple[str, str]:
    (finding,) = engine.findings()
    return finding.summary, engine.verdict().text


def test_numbers_of_a_later_step_are_said_to_be_so() -> None:
    summary, verdict = said(judge(near_overflow, steps=4))
    assert summary.startswith("At step 3: Exp gets arguments up to 83;")
    assert verdict.startswith("Exponential close to overflow since step 0, train.py:5. At step 3: Exp gets")


def test_numbers_of_the_step_that_is_named_need_no_other() -> None:
    summary, verdict = said(judge(near_overflow, steps=1))
    assert summary.startswith("Exp gets arguments up to 80;")
    assert verdict.startswith("Exponential close to overflow at step 0, train.py:5. Exp gets")
