"""Steps that lose their digits without NaN: small differences, large angles, lost steps; and the same done well."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.analysis.programs import Step, data, literal, op, returned_mean, variable
from tests.support.numpy_trace import Node, Trace


def finite_difference(h: float) -> Step:
    """(f(x + h) - f(x)) / h of f(x) = exp(2 x)."""

    def step(trace: Trace, i: int) -> None:
        x, size, two = data(trace, [1.0, 1.5]), literal(trace, h), literal(trace, 2.0)
        moved = op(trace, "AddV2", x.array + size.array, x, size, line=2)
        sides = []
        for at in (moved, x):
            doubled = op(trace, "Mul", at.array * two.array, at, two, line=3)
            sides.append(op(trace, "Exp", np.exp(doubled.array), doubled, line=3))
        apart = op(trace, "Sub", sides[0].array - sides[1].array, *sides, line=4)
        returned_mean(trace, op(trace, "RealDiv", apart.array / size.array, apart, size, line=5))

    return step


def k3(size: float, stable: bool = False) -> Step:
    """exp(x) - x - 1 in float16, or expm1(x) - x."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, [size, -0.7 * size, 0.3 * size], np.float16)
        one = literal(trace, 1.0, np.float16)
        if stable:
            e = op(trace, "Expm1", np.expm1(x.array), x)
            left = op(trace, "Sub", e.array - x.array, e, x)
        else:
            e = op(trace, "Exp", np.exp(x.array), x)
            before = op(trace, "Sub", e.array - x.array, e, x)
            left = op(trace, "Sub", before.array - one.array, before, one)
        returned_mean(trace, left)

    return step


def three_factors(a: float, b: float, c: float) -> Step:
    """(a * b) * c."""

    def step(trace: Trace, i: int) -> None:
        u, kernel, v = (data(trace, [size, 1.0]) for size in (a, b, c))
        first = op(trace, "Mul", u.array * kernel.array, u, kernel)
        returned_mean(trace, op(trace, "Mul", first.array * v.array, first, v))

    return step


def angles(largest: float, dtype: Any) -> Step:
    """sin(0.5 * p) of whole numbers p that were cast to ``dtype`` on their way."""

    def step(trace: Trace, i: int) -> None:
        positions = np.linspace(0, largest, 8).round()
        cast = op(trace, "Cast", positions.astype(dtype), Node(-1, positions))
        wide = op(trace, "Cast", cast.array.astype(np.float32), cast)
        half = literal(trace, 0.5)
        angle = op(trace, "Mul", wide.array * half.array, wide, half)
        returned_mean(trace, op(trace, "Sin", np.sin(angle.array), angle))

    return step


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
