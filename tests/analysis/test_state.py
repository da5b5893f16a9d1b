"""NaN that marks what is not filled in yet, in a variable that is not trained."""

from __future__ import annotations

import numpy as np

from tb_numstab.schema.ops import Role
from tests.analysis.programs import Step, data, judge, op, returned_mean, update, variable
from tests.support.numpy_trace import Node, Trace


def test_an_update_that_removes_nan_from_a_variable_does_no_harm() -> None:
    def step(trace: Trace, i: int) -> None:
        new = np.array([1.0, np.nan, np.nan], np.float32)
        op(trace, "ResourceScatterUpdate", new, Node(-1, new), data(trace, [1.0]), role=Role.UPDATE, variable="buffer")
        returned_mean(trace, data(trace, [1.0]))

    assert judge(step).findings() == []


def slots_of_episodes(returned: bool) -> Step:
    """Lengths of finished episodes, NaN until one has finished; the first is read, or averaged into the loss."""

    def step(trace: Trace, i: int) -> None:
        held = variable(trace, [np.nan, np.nan, 3.0], name="lengths", trainable=False)
        first = op(trace, "StridedSlice", held.array[:1], held, returned=returned)
        update(trace, held, data(trace, [0.0, 0.0, 1.0]), name="lengths", trainable=False)
        if not returned:
            returned_mean(trace, op(trace, "Mul", 2 * first.array, first))

    return step


def test_nan_in_a_variable_that_is_not_trained_does_harm_only_where_arithmetic_meets_it() -> None:
    assert judge(slots_of_episodes(returned=True)).findings() == []
    (finding,) = judge(slots_of_episodes(returned=False)).findings()
    assert finding.rule == "nonfinite-variable"
    assert "no measured step has made it so" in finding.summary
