"""The fix of an error suits the formula it stands in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.fixes import suited
from tests.analysis.programs import Step, data, judge, literal, op, returned_mean, unary
from tests.analysis.steps import cast, softmax
from tests.support.numpy_trace import Node, Trace


def log_of_zero(argument: Callable[[Trace], Node]) -> Step:
    def step(trace: Trace, i: int) -> None:
        x = argument(trace)
        returned_mean(trace, op(trace, "Log", np.log(x.array), x))

    return step


def probability(trace: Trace) -> Node:
    z = data(trace, [[0.0, 200.0]])
    return op(trace, "Softmax", softmax(z.array), z)


def sigmoid(trace: Trace) -> Node:
    z = data(trace, [0.0, -200.0])
    return op(trace, "Sigmoid", 1 / (1 + np.exp(-z.array)), z)


def share_by_hand(trace: Trace) -> Node:
    z = data(trace, [[0.0, -200.0]])
    e = op(trace, "Exp", np.exp(z.array), z)
    total = op(trace, "Sum", e.array.sum(-1, keepdims=True), e)
    return op(trace, "RealDiv", e.array / total.array, e, total)


def exponentials(trace: Trace) -> Node:
    z = data(trace, [[-200.0, -300.0]])
    e = op(trace, "Exp", np.exp(z.array), z)
    return op(trace, "Sum", e.array.sum(-1), e)


def survival(trace: Trace) -> Node:
    z, one = data(trace, [0.0, -1.0]), literal(trace, 1.0)
    e = op(trace, "Exp", np.exp(z.array), z)
    return op(trace, "Sub", one.array - e.array, one, e)


def entropy(trace: Trace, i: int) -> None:
    p = data(trace, [0.0, 1.0])
    log = op(trace, "Log", np.log(p.array), p)
    returned_mean(trace, op(trace, "Mul", p.array * log.array, p, log))


def by_hand(formula: str, largest: float = 100.0) -> Step:
    """exp(x) / (1 + exp(x)), the same with a weight and exp(x) computed anew, or log(1 + exp(x)), of a large x."""

    def step(trace: Trace, i: int) -> None:
        x, one = data(trace, [largest, 1.0]), literal(trace, 1.0)
        e = op(trace, "Exp", np.exp(x.array), x)
        total = op(trace, "AddV2", one.array + e.array, one, e)
        if formula == "weighed sigmoid":
            again, weight = op(trace, "Exp", np.exp(x.array), x), data(trace, [0.5, 0.5])
            above = op(trace, "Mul", weight.array * again.array, weight, again)
            returned_mean(trace, op(trace, "RealDiv", above.array / total.array, above, total))
        elif formula == "sigmoid":
            returned_mean(trace, op(trace, "RealDiv", e.array / total.array, e, total))
        else:
            returned_mean(trace, op(trace, "Log", np.log(total.array), total))

    return step


def divided_by(op_type: str) -> Step:
    """1 / x, or a function of x with a pole at 0, of what a ReLU gives."""

    def step(trace: Trace, i: int) -> None:
        z, one = data(trace, [1.0, 2.0]), literal(trace, 1.0)
        x = op(trace, "Relu", z.array, z)
        operands = (one, x) if op_type == "RealDiv" else (x,)
        returned_mean(trace, op(trace, op_type, 1 / x.array, *operands))

    return step


def wide_cast(trace: Trace, i: int) -> None:
    x = data(trace, [1e300, 1.0], np.float64)
    returned_mean(trace, op(trace, "Cast", x.array.astype(np.float32), x))


@pytest.mark.parametrize(
    ("step", "rule", "after"),
    [
        (log_of_zero(probability), "log-of-zero", "log_softmax"),
        (log_of_zero(share_by_hand), "log-of-zero", "log_softmax"),
        (log_of_zero(sigmoid), "log-of-zero", "log_sigmoid(-z)"),
        (log_of_zero(exponentials), "log-of-zero", "reduce_logsumexp"),
        (log_of_zero(survival), "log-of-zero", "expm1"),
        (entropy, "log-of-zero", "xlogy"),
        (unary("Log", np.log, [0.0, 1.0]), "log-of-zero", "tf.maximum"),
        (by_hand("sigmoid"), "exp-overflow", "tf.sigmoid"),
        (by_hand("weighed sigmoid"), "exp-overflow", "tf.sigmoid"),
        (by_hand("weighed sigmoid", 60.0), "exp-near-overflow", "tf.sigmoid"),
        (unary("Exp", np.exp, [60.0, 1.0]), "exp-near-overflow", "tf.nn.softmax"),
        (divided_by("RealDiv"), "denominator-may-vanish", "divide_no_nan"),
        (divided_by("Rsqrt"), "denominator-may-vanish", "+ 1e-6"),
        (divided_by("Digamma"), "denominator-may-vanish", "softplus"),
        (by_hand("softplus"), "exp-overflow", "tf.nn.softplus"),
        (unary("Sqrt", np.sqrt, [-1.0, 1.0]), "sqrt-of-negative", "1e-12"),
        (unary("Rsqrt", lambda x: 1 / np.sqrt(x), [-1.0, 1.0]), "sqrt-of-negative", "+ 1e-6"),
        (cast([1e6, 1.0]), "cast-overflow", "mixed_bfloat16"),
        (wide_cast, "cast-overflow", "1e30"),
    ],
)
def test_the_fix_suits_the_formula(step: Step, rule: str, after: str) -> None:
    finding = judge(step).findings()[0]
    assert finding.rule == rule
    assert after in finding.fix.after


@pytest.mark.parametrize(
    ("dtype", "after"),
    [
        ("float32", "x + 1e-12; minimum(x, 1 - 1e-6); where(m, s, -1e9)"),
        ("bfloat16", "x + 1e-12; minimum(x, 1 - 1e-2); where(m, s, -1e9)"),
        ("float16", "x + 1e-4; minimum(x, 1 - 1e-3); where(m, s, -6e4)"),
    ],
)
def test_a_fix_is_in_numbers_that_the_format_holds(dtype: str, after: str) -> None:
    fix = Fix("", "", "x + 1e-12; minimum(x, 1 - 1e-6); where(m, s, -1e9)")
    assert suited(fix, dtype).after == after


def test_an_epsilon_in_a_fix_is_one_that_the_format_holds() -> None:
    for dtype, epsilon in ((np.float16, "1e-4"), (np.float32, "1e-12")):
        (finding,) = judge(unary("Sqrt", np.sqrt, [-1.0, 1.0], dtype)).findings()
        assert f"tf.maximum(x, {epsilon})" in finding.fix.after
