"""A spread knows how a tensor's elements are distributed, whatever its format."""

from __future__ import annotations

import numpy as np
import pytest

from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.spread import AXIS, Distribution, Spread
from tests.analysis.programs import data, literal, op, update, variable
from tests.support.numpy_trace import Array, Trace, exponents

LINES = {line: "" for line in range(1, 12)}


def spread_of(*arrays: Array) -> Spread:
    """Each array is what the one input of the step held in one record."""
    trace, spread = Trace(LINES), Spread()
    for array in arrays:
        data(trace, array, array.dtype)
        record = trace.record()
        spread.feed(OpGraph(trace.sites), record)
    return spread


@pytest.mark.parametrize(
    ("dtype", "error"),
    [(np.float16, 0.01), (np.float32, 0.15)],  # bins of 1 and 4 binades
)
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_elements_below_a_magnitude_are_estimated(dtype: type, error: float, scale: float) -> None:
    values: Array = (scale * np.random.default_rng(0).normal(size=4000)).astype(dtype)
    spread = spread_of(values)
    found = Distribution(spread, np.array([0]))
    for exponent in range(-24, 4):
        exact = np.count_nonzero(np.abs(values.astype(np.float64)) < 2.0**exponent)
        assert found.below(exponent)[0] == pytest.approx(exact, abs=error * 4000)


def test_a_few_stray_elements_stay_few() -> None:
    values = np.ones(4096, np.float32)
    values[:6] = 2.0 ** -np.arange(30.0, 90.0, 10.0)  # each alone in its bin, which is stored as 1/255
    spread = spread_of(values)
    assert Distribution(spread, np.array([0])).below(-20) < 0.01 * 4096


def test_nothing_lies_beyond_the_extremes() -> None:
    values = np.array([3.0, 5.0, 0.0, -200.0], np.float32)
    spread = spread_of(values)
    found = Distribution(spread, np.array([0]))
    assert found.total == pytest.approx(3)
    assert found.below(1) == 0
    assert found.below(8) == pytest.approx(3)
    assert (spread.largest[0], spread.total("zero")[0]) == (200.0, 1)


def test_elements_by_exponent_add_up() -> None:
    values = np.exp(np.random.default_rng(1).normal(0, 5, 3000)).astype(np.float32)
    spread = spread_of(values)
    (by_exponent,) = Distribution(spread, np.array([0])).by_exponent()
    assert by_exponent.sum() == pytest.approx(3000)
    assert (by_exponent >= 0).all()
    mean = (by_exponent * AXIS).sum() / 3000
    assert mean == pytest.approx(exponents(values.astype(np.float64)).mean(), abs=0.3)


def test_records_add_up() -> None:
    spread = spread_of(*[np.full(30, 1.0, np.float32)] * 300, *[np.full(30, 2.0**20, np.float32)] * 100)
    assert Distribution(spread, np.array([0])).below(10) == pytest.approx(300 * 30)
    assert (spread.min_exp[0], spread.max_exp[0], spread.records) == (0, 20, 400)


def test_what_follows_from_a_nan_does_not_count() -> None:
    trace, spread = Trace(LINES), Spread()
    for change in (1.0, np.nan):
        w = variable(trace, [1e20, change])
        update(trace, w, op(trace, "Mul", np.array([1.0, change], np.float32), w))
        record, graph = trace.record(), OpGraph(trace.sites)
        spread.feed(graph, record)
    assert spread.records == 1


def test_literals_have_their_extremes_from_the_op_table() -> None:
    trace, spread = Trace(LINES), Spread()
    literal(trace, 1e-8)
    graph = OpGraph(trace.sites)
    spread.reserve(graph)
    assert spread.largest[0] == pytest.approx(1e-8)
