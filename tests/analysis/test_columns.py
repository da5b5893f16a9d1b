"""How numbers of a row are put into a sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tb_numstab.analysis.columns import OneRow, Power
from tests.support.numpy_trace import measure


@pytest.mark.parametrize(
    ("exponent", "text"), [(3.0, "2^3"), (-126.0, "2^-126"), (-math.inf, "0"), (math.nan, "an unmeasured size")]
)
def test_an_exponent_prints_as_a_power_of_two(exponent: float, text: str) -> None:
    assert f"{Power(exponent)}" == text


@pytest.mark.parametrize(("values", "text"), [([1.0, 2.5], "1 to 2.5"), ([5.5661e7, 5.5662e7], "5.566e+07")])
def test_a_range_of_one_number_is_that_number(values: list[float], text: str) -> None:
    assert OneRow(measure(np.array(values, np.float32))).extent == text
