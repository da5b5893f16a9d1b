"""Steps that lose their digits without NaN: small differences, large angles, lost steps; and the same done well."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.analysis.programs import Step, data, literal, op, returned_mean
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
