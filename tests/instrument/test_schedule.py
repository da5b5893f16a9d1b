"""Which steps "auto" measures, on a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

import tb_numstab
from tb_numstab.instrument.schedule import COST_SHARE, Auto, make_schedule


def run(steps: int, survey: float, plain: float = 1.0, max_records: int = 10_000) -> list[int]:
    """Steps measured in a training whose measured steps take ``survey`` seconds and the others ``plain``."""
    now = 0.0
    schedule = Auto(max_records, lambda: now)
    measured = []
    for step in range(steps):
        if schedule.due():
            measured.append(step)
            now += survey * (20 if step == 0 else 1)  # the first one traces
        else:
            now += plain
    return measured


def test_the_start_is_dense() -> None:
    assert run(100, survey=3.0)[:6] == [0, 1, 2, 5, 10, 21]


@pytest.mark.parametrize("max_records", [64, 10_000])
def test_even_and_odd_steps_take_turns(max_records: int) -> None:
    measured = run(5_000, survey=3.0, max_records=max_records)
    assert [step % 2 for step in measured] == [i % 2 for i in range(len(measured))]


@pytest.mark.parametrize("survey", [1.5, 4.0, 11.0])
def test_later_it_costs_its_share_and_no_more(survey: float) -> None:
    steps = 20_000
    late = [s for s in run(steps, survey) if s >= 2_000]
    cost = len(late) * (survey - 1.0) / (steps - 2_000)
    assert COST_SHARE * 0.8 < cost < COST_SHARE * 1.1


def test_steps_that_cost_nothing_extra_are_all_measured() -> None:
    assert len(run(500, survey=1.0)) > 400


@pytest.mark.parametrize("steps", [100, 3_000, 50_000])
def test_max_records_is_never_exceeded_and_late_steps_are_still_seen(steps: int) -> None:
    measured = run(steps, survey=1.1, max_records=64)
    assert len(measured) <= 64
    assert measured[-1] > steps / 8


def test_a_pause_between_steps_does_not_buy_more_surveys() -> None:
    now = 0.0
    schedule = Auto(10_000, lambda: now)
    measured = 0
    for step in range(10_000):
        due = schedule.due()
        measured += due
        now += (4.0 if due else 1.0) + (100.0 if step % 1_000 == 999 else 0.0)
    assert measured < 10_000 * COST_SHARE / 3 * 1.3


def test_a_fixed_distance() -> None:
    schedule = make_schedule(3)
    assert [schedule.due() for _ in range(7)] == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("every", [0, -1, 2.5, "often", None])
def test_a_bad_distance_is_refused(every: Any) -> None:
    with pytest.raises(ValueError, match="every must be"):
        tb_numstab.watch(every=every)(lambda: None)


def test_a_bad_number_of_records_is_refused() -> None:
    with pytest.raises(ValueError, match="max_records must be"):
        tb_numstab.watch(every="auto", max_records=1)(lambda: None)
