"""What is said of gradients that turn round: how large the learning rate is beside the curvature."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import pytest

from tb_numstab.analysis.finding import Finding, Severity
from tests.analysis.descents import CURVATURE, FIRST_LOSS, Batch, descend, drawn, everything, halves


def with_momentum(rate: float) -> Any:
    """Heavy ball, whose limit is 1.9 times that of plain descent."""
    return keras.optimizers.SGD(1.9 * rate, momentum=0.9)


def alarms(found: dict[str, Finding]) -> set[str]:
    return {rule for rule, finding in found.items() if finding.severity is not Severity.INFO}


def stated_limit(finding: Finding) -> float:
    (limit,) = re.findall(r"the limit is ([\d.]+)\.$", finding.summary)
    return float(limit)


RULE_AT = {  # by the learning rate, as a share of the one from which on descent diverges
    0.97: "gradients-reverse",
    1.0: "learning-rate-oscillates",
    1.02: "learning-rate-diverges",
    1.5: "learning-rate-diverges",
}


@pytest.mark.parametrize("rate", RULE_AT)
def test_the_limit_of_the_learning_rate_is_that_of_the_curvature(rate: float) -> None:
    finding = descend(rate)[RULE_AT[rate]]
    assert stated_limit(finding) == pytest.approx(2 / CURVATURE, rel=0.02)
    assert finding.numbers["n.growth"] == pytest.approx(2 * rate - 1, rel=0.05)
    assert finding.site.op_type == "AssignSubVariableOp"


@pytest.mark.parametrize("rate", [0.1, 0.45, 0.7])
def test_of_gradients_that_do_not_last_nothing_is_said(rate: float) -> None:
    assert descend(rate) == {}


def test_a_reversal_is_no_warning_while_the_loss_falls() -> None:
    found = descend(0.97)
    assert "gradients-reverse" in found
    assert alarms(found) == set()


def test_a_divergence_is_told_long_before_it_overflows() -> None:
    finding = descend(1.2)["learning-rate-diverges"]
    assert finding.first_step <= 12
    assert re.fullmatch(r"overflows in about \d+ steps( \(\d+-\d+\))? from step \d+", finding.forecast)


def test_the_loss_is_the_whole_sum_that_a_gradient_is_taken_of() -> None:
    assert descend(1.2)["learning-rate-diverges"].numbers["n.first"] == pytest.approx(FIRST_LOSS, rel=1e-3)


@pytest.mark.parametrize(("every", "seen"), [(3, True), (2, False)])
def test_records_an_odd_number_of_steps_apart_show_it(every: int, seen: bool) -> None:
    found = descend(1.02, every=every)
    assert ("learning-rate-diverges" in found) == seen


def test_the_default_schedule_shows_it() -> None:
    assert "learning-rate-diverges" in descend(1.1, steps=200, every="auto")


@pytest.mark.parametrize(("batch", "rate"), [(halves, 0.2), (drawn, 0.2), (drawn, 0.4)])
def test_data_that_make_gradients_alternate_are_no_fault_of_the_learning_rate(batch: Batch, rate: float) -> None:
    found = descend(rate, batch, steps=200)
    assert not found.keys() & {"learning-rate-diverges", "learning-rate-oscillates", "gradients-reverse"}


@pytest.mark.parametrize("batch", [everything, drawn])
@pytest.mark.parametrize("optimizer", [with_momentum, keras.optimizers.SGD])
def test_an_optimizer_diverges_like_descent_by_hand(batch: Batch, optimizer: Callable[[float], Any]) -> None:
    finding = descend(2.0, batch, optimizer=optimizer)["learning-rate-diverges"]
    plain = optimizer is keras.optimizers.SGD
    assert ("that is a curvature of" in finding.summary) == plain
    assert ("In plain gradient descent" in finding.summary) != plain
