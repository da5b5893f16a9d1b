from typing import Any

import numpy as np
import pytest

from tb_numstab.schema.columns import INDEX, empty_rows
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.record import StepRecord
from tb_numstab.views import timeline
from tb_numstab.views.timeline import ABSENT, ABSORBED, INF, MEASURED, NAN, OVERFLOW, Timeline


def record(step: int, **slots: Any) -> StepRecord:
    """A record of slots ``s0=dict(column=value)``."""
    numbers = np.array([int(name[1:]) for name in slots])
    rows = empty_rows(len(slots))
    for i, columns in enumerate(slots.values()):
        rows[i, INDEX["size"]] = 8
        for name, value in columns.items():
            rows[i, INDEX[name]] = value
    return StepRecord("s", step, 0.0, numbers, rows, np.zeros((len(slots), HISTOGRAM_BINS), np.uint8))


def test_a_column_holds_exponents_and_marks_of_every_slot() -> None:
    line = Timeline()
    line.feed(record(5, s0=dict(max_exp=3, min_exp=-2), s2=dict(nan=1, neg_inf=2, overflow=1)), slots=4)
    (column,) = line.columns
    assert (column.first_step, column.last_step) == (5, 5)
    assert column.max_exp.tolist() == [3, ABSENT, ABSENT, ABSENT]
    assert column.min_exp.tolist() == [-2, ABSENT, ABSENT, ABSENT]
    assert column.marks.tolist() == [MEASURED, 0, MEASURED | NAN | INF | OVERFLOW, 0]


@pytest.mark.parametrize(("absorbed", "operands", "marked"), [(0, 0, False), (3, 8, False), (4, 8, True), (8, 8, True)])
def test_only_a_large_share_of_absorbed_additions_is_marked(absorbed: int, operands: int, marked: bool) -> None:
    line = Timeline()
    line.feed(record(0, s0=dict(absorbed=absorbed, operands=operands)), slots=1)
    assert bool(line.columns[0].marks[0] & ABSORBED) == marked


def test_slots_beyond_the_table_are_left_out() -> None:
    line = Timeline()
    line.feed(record(0, s0=dict(max_exp=1), s9=dict(max_exp=1)), slots=1)
    assert line.columns[0].max_exp.tolist() == [1]


@pytest.mark.parametrize("records", [1, 7, 16, 100])
def test_a_long_run_shares_columns_and_loses_no_event(monkeypatch: pytest.MonkeyPatch, records: int) -> None:
    monkeypatch.setattr(timeline, "MAX_CELLS", 20)
    line = Timeline()
    for step in range(records):
        marks = dict(nan=1) if step == records // 2 else {}
        line.feed(record(step, s0=dict(max_exp=step, min_exp=-step), s1=marks), slots=2)
    assert len(line.columns) <= 10
    assert [c.first_step for c in line.columns[1:]] == [c.last_step + 1 for c in line.columns[:-1]]
    assert line.columns[-1].last_step == records - 1
    for column in line.columns:
        assert column.max_exp[0] == column.last_step
        assert column.min_exp[0] == -column.last_step
        assert bool(column.marks[1] & NAN) == (column.first_step <= records // 2 <= column.last_step)


def test_merged_columns_may_know_different_numbers_of_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_CELLS", 3)
    line = Timeline()
    line.feed(record(0, s0=dict(max_exp=2, min_exp=0)), slots=1)
    line.feed(record(1, s0=dict(), s1=dict(max_exp=-5, min_exp=-9)), slots=2)
    (column,) = line.columns
    assert column.max_exp.tolist() == [2, -5]
    assert column.min_exp.tolist() == [0, -9]
