from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tb_numstab.analysis.domain import bits_to_zero
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.ops import Ops
from tests.analysis.programs import LINES, Step, data, judge, literal, op, returned_mean, update, variable
from tests.support.numpy_trace import Array, Node, Trace

STEPS = 16


def declining(op_type: str, function: Callable[[Array], Array], value: Callable[[int], float]) -> Step:
    """A function of a trained variable that takes these values."""

    def step(trace: Trace, i: int) -> None:
        w = variable(trace, [value(i), 1.0])
        returned_mean(trace, op(trace, op_type, function(w.array), w))
        update(trace, w, data(trace, [value(i) - value(i + 1), 0.0]))

    return step


def offset(value: Callable[[int], float]) -> Step:
    """The logarithm of 1 + a, where only ``a`` is computed."""

    def step(trace: Trace, i: int) -> None:
        one, a = literal(trace, 1.0), data(trace, [value(i) - 1, 0.0])
        total = op(trace, "AddV2", one.array + a.array, one, a)
        returned_mean(trace, op(trace, "Log", np.log(total.array), total))

    return step


def straight(i: int) -> float:
    return 1 - i / 20


def halving(i: int) -> float:
    return float(0.5 ** (i / 5))


@pytest.mark.parametrize(
    ("op_type", "function"),
    [("Log", np.log), ("Reciprocal", np.reciprocal), ("Rsqrt", lambda x: 1 / np.sqrt(x))],
)
def test_a_trained_operand_that_falls_in_a_line_is_seen_to_leave_the_domain(
    op_type: str, function: Callable[[Array], Array]
) -> None:
    (finding,) = judge(declining(op_type, function, straight), STEPS).findings()
    assert finding.rule == "operand-towards-pole"
    assert finding.forecast == "reaches the edge in about 5 steps from step 15"


def test_one_that_halves_again_and_again_never_gets_there() -> None:
    assert judge(declining("Log", np.log, halving), STEPS).findings() == []


def test_a_number_added_is_no_guard_against_a_negative_addend() -> None:
    assert [f.rule for f in judge(offset(straight), STEPS).findings()] == ["operand-towards-pole"]
    assert judge(offset(lambda i: 1 + straight(i)), STEPS).findings() == []


def _of_square_root(trace: Trace, x: Node) -> Node:
    return op(trace, "Sqrt", np.sqrt(x.array), x)


def _of_complement(trace: Trace, x: Node) -> Node:
    one = literal(trace, 1.0)
    rest = op(trace, "Sub", one.array - x.array, one, x)
    p = op(trace, "Sigmoid", x.array, x)
    return op(trace, "Mul", p.array * rest.array, p, rest)


@pytest.mark.parametrize(
    ("operand", "bits"),
    [(lambda trace, x: x, 126), (_of_square_root, 63), (_of_complement, 24)],
    ids=["a value", "a root", "p (1 - p)"],
)
def test_an_operand_is_0_when_what_it_is_made_of_is(operand: Callable[[Trace, Node], Node], bits: int) -> None:
    trace = Trace(LINES)
    x = data(trace, [0.5, 0.25])
    below = operand(trace, x)
    op(trace, "RealDiv", x.array / below.array, x, below)
    graph = OpGraph(trace.sites)
    assert bits_to_zero(Ops.of(graph, graph.table(trace.record()), graph.members("div"))).tolist() == [bits]
