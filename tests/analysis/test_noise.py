"""Results of which nothing but rounding error is left are named; what only looks like them is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analysis.programs import Step, data, judge, literal, op, returned_mean, variable
from tests.support.numpy_trace import Trace

POINTS = np.array([[0.0, 3.0], [1.0, 5.0], [4.0, 2.0], [7.0, 7.0]], np.float32)


def squared_distances(offset: float) -> Step:
    """|a|^2 - 2 a b + |b|^2 of points around ``offset``, of which b is trained."""

    def step(trace: Trace, i: int) -> None:
        a, b = data(trace, POINTS + offset), variable(trace, POINTS[1:3] + np.float32(offset + 0.5))
        two = literal(trace, 2.0)
        sums = []
        for points in (a, b):
            square = op(trace, "Square", np.square(points.array), points)
            sums.append(op(trace, "Sum", square.array.sum(1, keepdims=points is a), square))
        product = op(trace, "MatMul", a.array @ b.array.T, a, b)
        doubled = op(trace, "Mul", two.array * product.array, two, product)
        apart = op(trace, "Sub", sums[0].array - doubled.array, sums[0], doubled)
        returned_mean(trace, op(trace, "AddV2", apart.array + sums[1].array, apart, sums[1]))

    return step


def difference_of_squares(offset: float) -> Step:
    """a^2 - b^2 of data around ``offset``."""

    def step(trace: Trace, i: int) -> None:
        sides = [data(trace, offset + shift + np.linspace(0, 2e-3, 5)) for shift in (1e-3, 0.0)]
        squares = [op(trace, "Square", np.square(side.array), side) for side in sides]
        returned_mean(trace, op(trace, "Sub", squares[0].array - squares[1].array, *squares))

    return step


def log_gammas(r: float) -> Step:
    """lgamma(count + r) - lgamma(r) with a trained r."""
    lgamma = np.vectorize(math.lgamma, otypes=[np.float32])

    def step(trace: Trace, i: int) -> None:
        counts, rate = data(trace, [1.0, 3.0, 8.0]), variable(trace, r)
        total = op(trace, "AddV2", counts.array + rate.array, counts, rate)
        above, below = (op(trace, "Lgamma", lgamma(value.array), value) for value in (total, rate))
        returned_mean(trace, op(trace, "Sub", above.array - below.array, above, below))

    return step


def angle_between(size: float) -> Step:
    """acos(cos a cos b + sin a sin b) of angles that differ by up to ``size``."""

    def step(trace: Trace, i: int) -> None:
        a, b = data(trace, [0.8, 0.9, 1.1]), data(trace, np.array([0.8, 0.9, 1.1]) + size * np.array([0.1, 0.4, 1.0]))
        products = []
        for name, function in (("Cos", np.cos), ("Sin", np.sin)):
            both = [op(trace, name, function(angle.array), angle) for angle in (a, b)]
            products.append(op(trace, "Mul", both[0].array * both[1].array, *both))
        cosine = op(trace, "AddV2", np.minimum(products[0].array + products[1].array, np.float32(1)), *products)
        returned_mean(trace, op(trace, "Acos", np.arccos(cosine.array), cosine))

    return step


def log_of_one_plus(size: float) -> Step:
    """log(1 + x) of data of this size."""

    def step(trace: Trace, i: int) -> None:
        one, x = literal(trace, 1.0), data(trace, size * np.array([0.3, -0.7, 1.0]))
        total = op(trace, "AddV2", one.array + x.array, one, x)
        returned_mean(trace, op(trace, "Log", np.log(total.array), total))

    return step


def weights_cast(size: float) -> Step:
    """Data of this size, in float16."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, size * np.array([0.3, 0.7, 1.0]))
        returned_mean(trace, op(trace, "Cast", x.array.astype(np.float16), x))

    return step


@pytest.mark.parametrize(
    ("rule", "noise", "sound"),
    [
        ("squared-distance-cancelled", squared_distances(5e6), squared_distances(10.0)),
        ("difference-of-data-cancelled", difference_of_squares(1e4), difference_of_squares(1.0)),
        ("log-gamma-difference", log_gammas(1e6), log_gammas(1e3)),
        ("angle-of-parallel-data", angle_between(4e-4), angle_between(0.1)),
        ("angle-of-parallel-data", angle_between(4e-4), angle_between(0.0)),
        ("data-lost-beside-number", log_of_one_plus(1e-8), log_of_one_plus(1e-3)),
        ("data-lost-beside-number", log_of_one_plus(1e-8), log_of_one_plus(0.0)),
        ("data-underflow", weights_cast(1e-7), weights_cast(1e-3)),
        ("data-underflow", weights_cast(1e-7), weights_cast(0.0)),
    ],
)
def test_noise_is_an_error_and_its_twin_is_not(rule: str, noise: Step, sound: Step) -> None:
    errors, healthy = ({f.rule for f in judge(step, 20).findings()} for step in (noise, sound))
    assert rule in errors
    assert healthy == set()
