"""Operands of very different scale: what is listed, and what is called proven."""

from __future__ import annotations

from typing import Any

import numpy as np

from tb_numstab.analysis.finding import Certainty
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.interactions import Interaction, interactions
from tests.analysis.programs import LINES, Step, binary, data, literal, op, update, variable
from tests.support.numpy_trace import Trace


def found(step: Step) -> list[Interaction]:
    trace = Trace(LINES)
    with np.errstate(all="ignore"):
        step(trace, 0)
    graph = OpGraph(trace.sites)
    return interactions(graph, graph.table(trace.record()))


def test_a_healthy_product_of_distant_operands_is_listed_as_harmless() -> None:
    (only,) = found(binary("Mul", np.multiply, [1e30], [1e-30]))
    assert only.gap == 199
    assert (only.effect, only.certainty) == ("none", Certainty.POSSIBLE)
    assert only.reaches
    assert only.text == "Mul of operands up to 2^99 and 2^-100: the result, up to 2^0, is well within float32."


def test_a_sum_whose_smaller_operand_must_be_lost_is_proven() -> None:
    (only,) = found(binary("AddV2", np.add, [1e9, 2e9], [0.1, 0.2]))
    assert (only.effect, only.certainty, only.affected) == ("absorbed", Certainty.PROVEN, 1.0)
    assert only.x == 0 and only.y == 1 and only.slot == 2


def test_with_a_zero_among_the_large_it_is_only_counted() -> None:
    (only,) = found(binary("AddV2", np.add, [1e9, 2e9, 0.0], [0.1, 0.2, 0.1]))
    assert (only.effect, only.certainty, only.affected) == ("absorbed", Certainty.EVENT, 1.0)


def test_a_sample_proves_nothing() -> None:
    def sampled(trace: Trace, i: int) -> None:
        x, y = data(trace, [1e9, 2e9]), data(trace, [0.1, 0.2])
        trace.amend(x, inspected=1)
        op(trace, "AddV2", x.array + y.array, x, y)

    (only,) = found(sampled)
    assert only.certainty is Certainty.EVENT


def test_products_and_quotients_that_must_leave_the_range() -> None:
    cases = [
        (binary("Mul", np.multiply, [1e30, 2e30], [1e30, 1e31]), "overflows"),
        (binary("Mul", np.multiply, [1e-30, 2e-30], [1e-30, 1e-31]), "vanishes"),
        (binary("RealDiv", np.divide, [1e30, 2e30], [1e-30, 1e-31]), "overflows"),
        (binary("RealDiv", np.divide, [1e-30, 2e-30], [1e30, 1e31]), "vanishes"),
    ]
    for step, effect in cases:
        (only,) = found(step)
        assert (only.effect, only.certainty, only.affected) == (effect, Certainty.PROVEN, 1.0)


def test_a_matrix_product_near_the_range_is_possible() -> None:
    (only,) = found(binary("MatMul", np.matmul, np.full((2, 4), 1e37), np.full((4, 2), 1e-20)))
    assert (only.effect, only.certainty) == ("none", Certainty.POSSIBLE)
    (near,) = found(binary("MatMul", np.matmul, np.full((2, 4), 1e37), np.full((4, 2), [8.0, 1e-30])))
    assert (near.effect, near.certainty) == ("overflows", Certainty.POSSIBLE)


def descent(dtype: Any, weights: list[float], change: float) -> Step:
    def step(trace: Trace, i: int) -> None:
        w = variable(trace, weights, dtype)
        delta = op(trace, "Mul", np.full(len(weights), change, dtype), data(trace, [1.0], dtype))
        update(trace, w, delta)

    return step


def test_a_variable_and_its_change_are_listed_with_the_elements_that_stood_still() -> None:
    (lost,) = found(descent(np.float16, [1.0, 2.0, 4.0, 1e-4], 1e-4))
    assert (lost.effect, lost.certainty, lost.affected) == ("absorbed", Certainty.EVENT, 0.75)
    assert lost.text == "AssignSubVariableOp changes w, up to 2^2, by up to 2^-14: 3 of 4 elements did not move."
    (proven,) = found(descent(np.float32, [1.0, 2.0], 1e-9))
    assert (proven.effect, proven.certainty) == ("absorbed", Certainty.PROVEN)
    (kept,) = found(descent(np.float32, [1.0, 2.0], 1e-4))
    assert (kept.effect, kept.certainty) == ("none", Certainty.POSSIBLE)
    assert found(descent(np.float32, [1.0, 2.0], 0.1)) == []


def test_operands_of_one_scale_are_not_listed() -> None:
    assert found(binary("AddV2", np.add, [1.0, 2.0], [3.0, 4.0])) == []
    assert found(binary("Mul", np.multiply, [1.0, 2.0], [3.0, 1e-5])) == []


def test_what_is_meant_to_be_lost_comes_last_and_says_why() -> None:
    def step(trace: Trace, i: int) -> None:
        one, epsilon = literal(trace, 1.0), literal(trace, 1e-10)
        power = op(trace, "Pow", np.array(1e-12, np.float32), literal(trace, 0.9), data(trace, 262.0))
        op(trace, "Sub", np.array(1.0, np.float32), one, power)  # 1 - beta^t
        op(trace, "AddV2", np.full(2, 1.0, np.float32), data(trace, [1.0, 1.0]), epsilon)
        scores, mask = data(trace, [0.5, 0.25]), data(trace, [0.0, -1e9])
        op(
            trace,
            "Softmax",
            np.array([1.0, 0.0], np.float32),
            op(trace, "AddV2", scores.array + mask.array, scores, mask),
        )
        op(trace, "AddV2", np.full(2, 1e9, np.float32), data(trace, [1e9, 1e9]), data(trace, [0.5, 0.25]))

    listed = found(step)
    assert [i.expected for i in listed] == [
        "",
        "a correction for the first steps has worn off",
        "the number is there for smaller values",
        "a mask",
    ]
    assert listed[2].text.endswith(
        "every element of the smaller one is lost (24 bits). That is meant to be: "
        "the number is there for smaller values."
    )
