"""The five IEEE 754 exceptions at op level, and the table of links they are read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tb_numstab.analysis.events import events_of
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.headroom import headroom_down, headroom_up
from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.schema.record import StepRecord
from tests.analysis.programs import LINES, Step, binary, unary
from tests.support.numpy_trace import Trace, measure


def events(step: Step, slot: int) -> dict[str, float]:
    """The events of one slot that did happen."""
    trace = Trace(LINES)
    with np.errstate(all="ignore"):
        step(trace, 0)
    graph = OpGraph(trace.sites)
    found = vars(events_of(graph, graph.table(trace.record())))
    return {name: float(counts[slot]) for name, counts in found.items() if counts[slot]}


UNARY: list[tuple[str, Callable[[Any], Any], list[float], dict[str, float]]] = [
    ("Exp", np.exp, [100.0, 1.0], {"overflow": 1}),
    ("Exp", np.exp, [-100.0, 1.0], {"underflow": 1}),
    ("Square", np.square, [1e20, 1e-30], {"overflow": 1, "underflow": 1}),
    ("Log", np.log, [0.0, 0.0, 1.0], {"divide_by_zero": 2}),
    ("Log", np.log, [-1.0, 1.0], {"invalid": 1}),
    ("Rsqrt", lambda x: 1 / np.sqrt(x), [0.0, -1.0], {"divide_by_zero": 1, "invalid": 1}),
    ("Mystery", lambda x: x * 10, [1e38, 1.0], {"overflow": 1}),
    ("Relu", lambda x: np.maximum(x, 0), [-1.0, 1.0], {}),
    ("GatherV2", lambda x: x / 0, [1.0], {}),  # moves values: what is infinite there came from elsewhere
]


@pytest.mark.parametrize(("op_type", "function", "values", "expected"), UNARY)
def test_events_of_one_operand(
    op_type: str, function: Callable[[Any], Any], values: list[float], expected: dict[str, float]
) -> None:
    assert events(unary(op_type, function, values), slot=1) == expected


BINARY: list[tuple[str, Callable[[Any, Any], Any], list[float], list[float], dict[str, float]]] = [
    ("RealDiv", np.divide, [1.0, 0.0], [0.0, 0.0], {"divide_by_zero": 1, "invalid": 1}),
    ("RealDiv", np.divide, [1e30, 1.0], [1e-30, 1.0], {"overflow": 1}),
    ("Mul", np.multiply, [1e30, 1e-30], [1e30, 1e-30], {"overflow": 1, "underflow": 1}),
    ("Mul", np.multiply, [1e30], [1e-30], {}),
    ("AddV2", np.add, [1e9, 1.0], [1.0, 1.0], {"absorbed": 1}),
    ("Sub", np.subtract, [1.0 + 2.0**-20, 1.0], [1.0, -1.0], {"cancelled": 20}),
]


@pytest.mark.parametrize(("op_type", "function", "a", "b", "expected"), BINARY)
def test_events_of_two_operands(
    op_type: str, function: Callable[[Any, Any], Any], a: list[float], b: list[float], expected: dict[str, float]
) -> None:
    assert events(binary(op_type, function, a, b), slot=2) == expected


def test_headroom_is_the_distance_to_both_ends_of_the_format() -> None:
    sites = [OpSite("Relu", "a", dtype=name) for name in ("float16", "float32", "float16", "int32")]
    tables = [measure(np.array(v, np.float32)) for v in ([1024.0, 2.0**-20], [1.0, 4.0], [np.inf, 1.0], [0.0])]
    graph, table = OpGraph(sites), np.array(tables)
    assert headroom_up(graph, table)[:3].tolist() == [5.0, 125.0, 0.0]
    assert headroom_down(graph, table)[:3].tolist() == [-6.0, 126.0, 14.0]
    assert np.isnan(headroom_up(graph, table)[3])


# ---- the graph ----------------------------------------------------------------------------------


def chain(*op_types: str) -> OpGraph:
    """Ops in a row, each reading the one before."""
    return OpGraph([OpSite(t, t, inputs=(i - 1,) if i else ()) for i, t in enumerate(op_types)])


def test_a_value_is_followed_through_guards_only() -> None:
    graph = chain("Sub", "Maximum", "AddV2", "Rsqrt", "Sub", "Tanh", "Rsqrt")
    operands = graph.as_mask(graph.x[graph.members("rsqrt")])
    feeding = graph.feeding(operands, graph.mask("clip", "add"))
    assert np.flatnonzero(feeding).tolist() == [0, 1, 2, 5]
    carrying = graph.carrying(graph.as_mask([0]), graph.mask("clip", "add"))
    assert np.flatnonzero(carrying).tolist() == [0, 1, 2]


def test_links_are_indexed_both_ways() -> None:
    graph = OpGraph(
        [OpSite("A", "a"), OpSite("B", "b", inputs=(0, -1)), OpSite("Mul", "c", inputs=(1, 0), returned=True)]
    )
    assert graph.inputs(2).tolist() == [1, 0]
    assert graph.consumers(0).tolist() == [1, 2]
    assert graph.reaches_result.tolist() == [True, True, True]
    assert (graph.x[2], graph.y[2]) == (1, 0)


def test_a_link_beyond_the_table_is_no_link() -> None:
    graph = OpGraph([OpSite("Mul", "m", inputs=(7, 0))])
    assert graph.inputs(0).tolist() == [0]
    assert graph.x[0] == -1


def test_an_update_is_found_behind_an_assignment() -> None:
    def assign(op_type: str, *inputs: int) -> OpSite:
        return OpSite(op_type, op_type, inputs=inputs, role=Role.UPDATE, variable="w")

    graph = OpGraph(
        [
            OpSite("ReadVariableOp", "w", role=Role.VARIABLE, variable="w"),
            OpSite("Mul", "delta"),
            OpSite("AddV2", "sum", inputs=(1, 0)),
            assign("AssignVariableOp", 0, 2),
            assign("AssignSubVariableOp", 0, 1),
            assign("AssignVariableOp", 0, 1),  # a new value, no change of the old one
        ]
    )
    updates = graph.updates
    assert updates.slots.tolist() == [3, 4]
    assert updates.old.tolist() == [0, 0]
    assert updates.change.tolist() == [1, 1]
    assert updates.total.tolist() == [2, 4]


def test_the_rows_of_literals_come_from_the_op_table() -> None:
    static = tuple(measure(np.array([3.0], np.float32)))
    graph = OpGraph([OpSite("Const", "c", role=Role.CONSTANT, constant=static), OpSite("Relu", "r")])
    record = StepRecord(
        "s", 0, 0.0, np.array([1]), np.array([measure(np.ones(2, np.float32))]), np.zeros((1, HISTOGRAM_BINS), np.uint8)
    )
    table = graph.table(record)
    assert table[:, INDEX["max"]].tolist() == [3.0, 1.0]
