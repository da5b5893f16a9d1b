"""Every bound that is called proven holds for random and adversarial elements of every format."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_numstab.analysis import bounds
from tb_numstab.schema.formats import FORMATS, FloatFormat

ml_dtypes = pytest.importorskip("ml_dtypes", reason="comes with TensorFlow; numpy alone has no bfloat16 and float8")

NAMES = ("float16", "float32", "float64", "bfloat16", "float8_e5m2", "float8_e4m3fn")
SIZE = 24

Elements = NDArray[Any]


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def adversarial(random: np.random.Generator, fmt: FloatFormat, low: int, high: int) -> Elements:
    """Elements with exponents in [low, high]: powers of two, their neighbours on both sides, random ones."""
    ulp = 2.0 ** -(fmt.precision - 1)
    edges = np.array([1.0, 1.0 + ulp, 2.0 - ulp, 1.5])
    significand = np.where(random.random(SIZE) < 0.6, random.choice(edges, SIZE), 1 + random.random(SIZE))
    exponent = random.integers(low, high + 1, SIZE)
    exponent[:2] = low, high
    sign = random.choice([-1.0, 1.0], SIZE)
    with np.errstate(over="ignore"):
        values = np.ldexp(sign * significand, exponent)
    return np.asarray(np.clip(values, -fmt.max_value, fmt.max_value), dtype_of(fmt.name))


def extremes(values: Elements) -> tuple[float, float]:
    """E- and E+ of elements without zeros."""
    exponents = np.frexp(np.abs(values.astype(np.float64)))[1] - 1
    return float(exponents.min()), float(exponents.max())


@st.composite
def operands(draw: st.DrawFn) -> tuple[FloatFormat, Elements, Elements]:
    """Two operands of one format, each anywhere in its range, often near its ends or a significand apart."""
    fmt = FORMATS[draw(st.sampled_from(NAMES))]
    span = st.integers(fmt.min_exp, fmt.max_exp)
    top = draw(span)
    other = draw(
        st.one_of(
            span,
            st.integers(-4, 4).map(lambda d: top - fmt.precision + d),
            st.integers(-4, 4).map(lambda d: fmt.max_exp - top + d),
            st.integers(-4, 4).map(lambda d: fmt.min_subnormal_exp - top + d),
            st.integers(-4, 4).map(lambda d: top - fmt.max_exp + d),
        )
    )
    other = min(max(other, fmt.min_exp), fmt.max_exp)
    width = draw(st.integers(0, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = adversarial(random, fmt, max(top - width, fmt.min_exp), top)
    return fmt, x, adversarial(random, fmt, max(other - width, fmt.min_exp), other)


def computed(function: Any, x: Elements, y: Elements) -> NDArray[np.float64]:
    """The result of an op in the format of its operands, as float64."""
    with np.errstate(all="ignore"):
        out: NDArray[np.float64] = function(x, y).astype(x.dtype).astype(np.float64)
    return out


def overflowed(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Inf, or NaN in float8_e4m3fn, which has no Inf."""
    return ~np.isfinite(values)


@settings(max_examples=600, deadline=None)
@given(operands())
def test_what_is_absorbed_changes_nothing(case: tuple[FloatFormat, Elements, Elements]) -> None:
    fmt, x, y = case
    if bounds.absorbs(extremes(x)[0], extremes(y)[1], fmt.precision):
        assert np.array_equal(computed(np.add, x, y), x.astype(np.float64))
        assert np.array_equal(computed(np.subtract, x, y), x.astype(np.float64))


@settings(max_examples=600, deadline=None)
@given(operands())
def test_every_element_loses_the_lost_bits(case: tuple[FloatFormat, Elements, Elements]) -> None:
    fmt, x, y = case
    out = computed(np.subtract, x, y)
    kept = out[(out != 0) & np.isfinite(out)]
    if kept.size:
        lost = bounds.lost_bits(extremes(x)[0], extremes(y)[0], extremes(kept)[1])
        largest = np.maximum(np.abs(x.astype(np.float64)), np.abs(y.astype(np.float64)))[(out != 0) & np.isfinite(out)]
        each = (np.frexp(largest)[1] - 1) - (np.frexp(np.abs(kept))[1] - 1)
        assert (each >= lost).all()


@settings(max_examples=600, deadline=None)
@given(operands())
def test_sums_called_safe_do_not_overflow(case: tuple[FloatFormat, Elements, Elements]) -> None:
    fmt, x, y = case
    if bounds.sum_is_safe(extremes(x)[1], extremes(y)[1], fmt.max_exp) and fmt.has_inf:
        assert not overflowed(computed(np.add, x, y)).any()


@settings(max_examples=800, deadline=None)
@given(operands())
def test_products(case: tuple[FloatFormat, Elements, Elements]) -> None:
    fmt, x, y = case
    out = computed(np.multiply, x, y)
    (x_min, x_max), (y_min, y_max) = extremes(x), extremes(y)
    if bounds.product_is_safe(x_max, y_max, fmt.max_exp) and fmt.has_inf:
        assert not overflowed(out).any()
    if bounds.product_overflows(x_min, y_min, fmt.max_exp):
        assert overflowed(out).all()
    if bounds.product_vanishes(x_max, y_max, fmt.min_subnormal_exp):
        assert (out == 0).all()


@settings(max_examples=800, deadline=None)
@given(operands())
def test_quotients(case: tuple[FloatFormat, Elements, Elements]) -> None:
    fmt, x, y = case
    out = computed(np.divide, x, y)
    (x_min, x_max), (y_min, y_max) = extremes(x), extremes(y)
    if bounds.quotient_is_safe(x_max, y_min, fmt.max_exp) and fmt.has_inf:
        assert not overflowed(out).any()
    if bounds.quotient_overflows(x_min, y_max, fmt.max_exp):
        assert overflowed(out).all()
    if bounds.quotient_vanishes(x_max, y_min, fmt.min_subnormal_exp):
        assert (out == 0).all()


@settings(max_examples=400, deadline=None)
@given(operands(), st.integers(1, SIZE))
def test_dot_products_called_safe_do_not_overflow(case: tuple[FloatFormat, Elements, Elements], length: int) -> None:
    fmt, x, y = case
    if bounds.dot_is_safe(extremes(x)[1], extremes(y)[1], length, fmt.max_exp) and fmt.has_inf:
        total = np.zeros((), x.dtype)
        for a, b in zip(x[:length], y[:length], strict=True):
            total = computed(np.add, total, computed(np.multiply, np.abs(a), np.abs(b)).astype(x.dtype)).astype(x.dtype)
        assert not overflowed(total.astype(np.float64)).any()


@pytest.mark.parametrize("name", NAMES)
def test_one_bit_less_does_not_absorb(name: str) -> None:
    """The bound is tight: at p + 1 a power of two loses an ulp to a number just below the half."""
    fmt = FORMATS[name]
    x = np.array([1.0], dtype_of(name))
    y = np.array([-(2.0 - 2.0 ** -(fmt.precision - 1)) * 2.0 ** -(fmt.precision + 1)], np.float64)
    if np.frexp(np.abs(y))[1][0] - 1 < fmt.min_subnormal_exp:
        pytest.skip("the number is below the format's range")
    y = y.astype(dtype_of(name))
    assert not bounds.absorbs(0, -(fmt.precision + 1), fmt.precision)
    if name not in ("float8_e4m3fn", "float8_e5m2"):  # their subnormals round y to a power of two
        assert (computed(np.add, x, y) != 1).all()
