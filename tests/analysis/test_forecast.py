from __future__ import annotations

import numpy as np
import pytest

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.forecast import MIN_POINTS, WINDOW, Forecast, History, forecast

STEPS = np.arange(0.0, 160.0, 10.0)


def test_a_line_meets_its_limit_where_it_says() -> None:
    ahead = forecast(STEPS, 2.0 * STEPS, limit=400.0)
    assert ahead is not None
    assert ahead.slope == pytest.approx(2.0)
    assert ahead.steps == pytest.approx((400 - 300) / 2)
    assert ahead.text("overflows") == "overflows in about 50 steps from step 150"


def test_one_outlier_changes_little() -> None:
    values = 2.0 * STEPS
    values[7] = 1e6
    ahead = forecast(STEPS, values, limit=400.0)
    assert ahead is not None
    assert ahead.steps == pytest.approx(50, rel=0.2)
    assert ahead.low <= ahead.steps <= ahead.high


@pytest.mark.parametrize(
    "values",
    [
        np.full(16, 5.0),
        -STEPS,
        np.resize([0.0, 10.0], 16),
        100 * np.log1p(np.arange(16.0) * 50),  # flattens out
        STEPS * 1e-3,  # would take longer than the trend can be trusted
    ],
    ids=["constant", "falling", "alternating", "flattening", "slow"],
)
def test_no_trend_gives_no_forecast(values: Floats) -> None:
    assert forecast(STEPS, values, limit=1000.0) is None


def test_only_a_straight_line_is_steady() -> None:
    line, decay = STEPS / 200 - 1, -(0.5 ** (STEPS / 150))  # both half the way to 0 and more
    assert forecast(STEPS, line, limit=0.0, horizon=1.0, steady=True) is not None
    assert forecast(STEPS, decay, limit=0.0, horizon=2.0) is not None
    assert forecast(STEPS, decay, limit=0.0, horizon=2.0, steady=True) is None


def test_what_has_just_stopped_is_not_steady() -> None:
    stopped = np.minimum(STEPS, 120) / 150 - 1
    assert forecast(STEPS, stopped, limit=0.0) is not None
    assert forecast(STEPS, stopped, limit=0.0, steady=True) is None


def test_a_line_that_the_values_have_left_is_none() -> None:
    values = STEPS.copy()
    values[-1] = 0.0
    assert forecast(STEPS, values, limit=150.0) is None


def test_noise_alone_is_no_trend() -> None:
    random = np.random.default_rng(0)
    found = [forecast(STEPS, random.normal(0, 1, len(STEPS)), limit=5.0) for _ in range(2000)]
    assert sum(f is not None for f in found) <= 10


def test_too_few_points_are_no_trend() -> None:
    assert forecast(STEPS[: MIN_POINTS - 1], STEPS[: MIN_POINTS - 1], limit=60.0) is None


def test_a_value_beyond_its_limit_meets_it_now() -> None:
    assert forecast(STEPS, STEPS, limit=100.0) == Forecast(150, 1.0, 0.0, 0.0, 0.0)


def test_history_keeps_a_window_and_lets_new_slots_in() -> None:
    history = History()
    for step in range(WINDOW + 4):
        history.push(step, np.arange(2.0 if step < 10 else 3.0) + step)
    steps, values = history.series(0)
    assert len(steps) == WINDOW and steps[0] == 4
    assert values.tolist() == steps.tolist()
    late_steps, _ = history.series(2)
    assert late_steps[0] == 10
    slots = np.arange(3)
    assert history.rises(slots, change=9.0).tolist() == [True, True, True]
    assert history.rises(slots[1:], change=10.0).tolist() == [True, False]
