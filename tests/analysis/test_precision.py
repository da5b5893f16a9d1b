"""Advice on formats: what is predicted, what is recommended, and in which words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.precision import CANDIDATES, Fit, Precision, precision_advice
from tb_numstab.analysis.precision_words import advice_text, code, summary
from tb_numstab.analysis.spread import Spread
from tb_numstab.analysis.what_if import overflow_limit
from tb_numstab.schema.formats import FORMATS
from tb_numstab.schema.ops import Role
from tests.analysis.programs import LINES, Step, data, literal, op, returned_mean, update, variable
from tests.support.numpy_trace import Trace

RANDOM = np.random.default_rng(0)


def advise(step: Step, steps: int = 3) -> tuple[OpGraph, Precision]:
    trace, spread = Trace(LINES), Spread()
    for i in range(steps):
        with np.errstate(all="ignore"):
            step(trace, i)
        record, graph = trace.record(), OpGraph(trace.sites)
        spread.feed(graph, record)
    return graph, precision_advice(graph, spread)


def training(
    activation: float = 1.0,
    gradient: float = 1.0,
    rate: float = 0.1,
    dtype: type = np.float32,
    weights: type = np.float32,
) -> Step:
    """W -= rate * gradient, behind a matrix product; both passes in ``dtype``."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, activation * RANDOM.normal(size=(8, 16)), dtype)
        w = variable(trace, RANDOM.normal(size=(16, 16)), weights)
        y = op(trace, "MatMul", (x.array @ w.array).astype(dtype), x, w)
        returned_mean(trace, y)
        g = op(
            trace, "MatMul", (gradient * RANDOM.normal(size=(16, 16))).astype(dtype), x, y, role=Role.GRADIENT, line=7
        )
        lr = literal(trace, rate, weights)
        update(trace, w, op(trace, "Mul", (g.array * lr.array).astype(weights), g, lr, role=Role.OPTIMIZER))

    return step


def after(make: Callable[..., None]) -> Step:
    """A healthy training with another op in its forward pass."""
    whole = training()

    def step(trace: Trace, i: int) -> None:
        whole(trace, i)
        make(trace)

    return step


def squares(trace: Trace) -> None:
    x = data(trace, [300.0, 1.0])
    op(trace, "Square", x.array * x.array, x, line=8)


def tiny_guard(trace: Trace) -> None:
    x, eps = data(trace, [0.5, 1.0]), literal(trace, 1e-8)
    op(trace, "AddV2", x.array + eps.array, x, eps, line=8)


def wide_mask(trace: Trace) -> None:
    x, mask = data(trace, [0.5, 1.0]), literal(trace, -1e9)
    op(trace, "AddV2", x.array + mask.array, x, mask, line=8)


def small_logarithm(trace: Trace) -> None:
    x = data(trace, [1e-9, 1.0])
    p = op(trace, "Mul", x.array, x, x, line=8)
    op(trace, "Log", np.log(p.array), p, line=9)


def long_mean(trace: Trace) -> None:
    x = data(trace, np.ones(70000))
    op(trace, "Mean", np.ones((), np.float32), x, line=8)


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_overflow_limit_is_where_rounding_leaves_the_format(name: str) -> None:
    fmt = FORMATS[name]
    assert overflow_limit(fmt) == fmt.max_value * (1 + 1 / (2 * (2**fmt.precision - 1))) or name == "float8_e4m3fn"
    if name == "float16":
        with np.errstate(over="ignore"):
            assert np.isinf(np.float16(overflow_limit(fmt)))
            assert np.float16(np.nextafter(overflow_limit(fmt), 0)) == 65504


@pytest.mark.parametrize(
    ("make", "reason", "op_type", "words"),
    [
        (squares, "overflows", "Square", "Square reaches 90000; float16 ends at 65504."),
        (tiny_guard, "becomes 0", "AddV2", "AddV2 gets the literal 1e-08, which becomes 0 and guards nothing."),
        (wide_mask, "overflows", "AddV2", "AddV2 gets a literal of magnitude 1e+09, which becomes infinite."),
        (small_logarithm, "becomes 0", "Mul", "Mul falls to 2^-30, which becomes 0: a pole of Log behind it."),
        (long_mean, "too many elements", "Mean", "Mean of 70,000 elements: that number overflows float16."),
    ],
)
def test_what_float16_cannot_hold_is_named(make: Callable[..., None], reason: str, op_type: str, words: str) -> None:
    graph, found = advise(after(make))
    advice = found.of("float16")
    (keep,) = advice.keep
    assert (advice.fit, keep.reason, graph.sites[keep.slot].op_type, keep.text) == (
        Fit.WITH_CARE,
        reason,
        op_type,
        words,
    )
    assert found.of("bfloat16").keep == ()
    assert f"{op_type} at train.py:8" in advice_text(graph, found, advice)


def test_only_where_overflow_begins_is_named() -> None:
    def chain(trace: Trace) -> None:
        x = data(trace, [300.0, 1.0])
        square = op(trace, "Square", x.array * x.array, x, line=8)
        double = op(trace, "AddV2", square.array * 2, square, square, line=9)
        op(trace, "Sqrt", np.sqrt(double.array), double, line=10)

    _, found = advise(after(chain))
    assert [k.reason for k in found.of("float16").keep] == ["overflows"]
    activations = found.of("float16").part("activations")
    assert activations is not None and activations.overflowing == 2


@pytest.mark.parametrize(("size", "needed"), [(1.0, False), (1e-5, True)])
def test_a_loss_scale_is_suggested_where_gradients_vanish(size: float, needed: bool) -> None:
    graph, found = advise(training(gradient=size))
    advice = found.of("float16")
    assert (advice.loss_scale is not None) == needed
    assert found.of("bfloat16").loss_scale is None
    if advice.loss_scale is not None:
        scale = advice.loss_scale
        gradients = size * np.random.default_rng(1).normal(size=100_000)
        assert scale.underflow == pytest.approx(np.mean(np.float16(gradients) == 0), abs=0.01)
        for exponent in (scale.low, scale.exponent, scale.high):
            assert np.isfinite(np.float16(gradients * 2.0**exponent)).all()
            assert np.mean(np.float16(gradients * 2.0**exponent) == 0) < 0.01
        assert f"2^{scale.exponent} (2^{scale.low} to 2^{scale.high} will do)" in advice_text(graph, found, advice)


def test_gradients_too_far_apart_for_float16() -> None:
    def step(trace: Trace, i: int) -> None:
        training()(trace, i)
        spread = np.exp2(RANDOM.uniform(-90, 10, (16, 16)))
        x = data(trace, spread)
        op(trace, "MatMul", x.array, x, x, role=Role.GRADIENT, line=8)

    graph, found = advise(step)
    assert found.of("float16").fit is Fit.NOT
    assert summary(graph, found)[0].endswith("float16 would not.")
    assert code(found).endswith('("mixed_bfloat16")')


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_lost_updates_are_foretold(dtype: type) -> None:
    _, found = advise(training(rate=2e-3, weights=dtype))
    w = RANDOM.normal(size=100_000).astype(np.float16)
    change = (2e-3 * RANDOM.normal(size=100_000)).astype(np.float16)
    truth = np.mean(w - change == w)
    weights = found.of("float16").part("weights")
    assert 0.05 < truth < 0.5
    assert weights is not None and weights.lost == pytest.approx(truth, abs=0.1)


def test_a_run_without_updates_says_nothing_of_them() -> None:
    def step(trace: Trace, i: int) -> None:
        returned_mean(trace, data(trace, [1.0, 2.0]))

    _, found = advise(step)
    assert all(p.lost is None for a in found.advice for p in a.parts)
    assert found.weights_in == ""


def test_a_small_healthy_run_may_use_either_format() -> None:
    graph, found = advise(training())
    assert (found.computes_in, found.weights_in) == ("float32", "float32")
    assert summary(graph, found)[0] == "Either 16-bit format would do, with the weights kept in float32."
    assert found.of("float32").fit is Fit.IN_USE


def test_a_run_in_float16_is_judged_by_its_counts() -> None:
    def overflowing(trace: Trace, i: int) -> None:
        training(dtype=np.float16)(trace, i)
        x = data(trace, [300.0, 1.0], np.float16)
        op(trace, "Square", x.array * x.array, x, line=8)

    graph, found = advise(overflowing)
    assert found.of("float16").fit is Fit.IN_USE
    assert summary(graph, found)[0] == "float16 is too narrow: compute 1 place in float32, or use bfloat16."
    assert [k.text for k in found.of("float16").keep] == ["Square overflowed in 3 elements."]
    assert code(found).endswith('("mixed_bfloat16")')

    graph, found = advise(training(dtype=np.float16))
    assert summary(graph, found)[0] == "float16 does well here: leave it as it is."
    assert code(found) == ""

    graph, found = advise(training(dtype=np.float16, gradient=2.0**-16))
    assert summary(graph, found)[0].endswith("of the gradient elements lose precision in float16: scale the loss.")


def test_a_run_in_float16_that_broke_is_not_praised() -> None:
    def breaking(trace: Trace, i: int) -> None:
        training(dtype=np.float16)(trace, i)
        if i == 2:
            w = variable(trace, [1.0])
            update(trace, w, op(trace, "Mul", np.array([np.nan], np.float32), w))

    graph, found = advise(breaking)
    told = summary(graph, found)
    assert told[0] == "float16 held until NaN or Inf did harm: look at the findings first."
    assert told[-1] == "Left out: 1 measured step where NaN or Inf did harm."


def test_weights_in_16_bits_are_advised_against() -> None:
    graph, found = advise(training(dtype=np.float16, weights=np.float16))
    assert "keep the weights in float32" in summary(graph, found)[0]
    assert code(found).endswith('("mixed_float16")')


def test_eight_bits_are_for_operands_of_matrix_products() -> None:
    graph, found = advise(after(squares))
    for name in ("float8_e5m2", "float8_e4m3fn"):
        advice = found.of(name)
        assert advice.fit is Fit.WITH_CARE
        assert all(p.overflowing == 0 for p in advice.parts)
        assert "each scaled to fit" in advice_text(graph, found, advice)

    def none(trace: Trace, i: int) -> None:
        returned_mean(trace, data(trace, [1.0, 2.0]))

    graph, found = advise(none)
    assert "no matrix product" in advice_text(graph, found, found.of("float8_e5m2"))
