"""Steps with a hazard that has done no harm yet, and the same steps without it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tb_numstab.schema.ops import Role
from tests.analysis.programs import Step, data, literal, op, returned_mean, update, variable
from tests.analysis.steps import softmax
from tests.support.numpy_trace import Array, Node, Trace


def differentiated(trace: Trace, node: Node) -> Node:
    """Takes a gradient through an op, trains a variable with it, and returns the op."""
    g = op(trace, "Mul", node.array, node, node, role=Role.GRADIENT, gradient_of=node.slot, line=7)
    update(trace, variable(trace, np.ones_like(node.array)), g)
    return node


def guarded(trace: Trace, node: Node, eps: float) -> Node:
    """``node + eps``, or the node itself for an eps of 0."""
    if not eps:
        return node
    guard = literal(trace, eps)
    return op(trace, "AddV2", node.array + guard.array, node, guard)


def clipped(trace: Trace, node: Node, upper: float) -> Node:
    """``minimum(node, upper)``."""
    end = literal(trace, upper)
    return op(trace, "Minimum", np.minimum(node.array, end.array), node, end)


PROBABILITIES: dict[str, Callable[[Array], Array]] = {
    "Softmax": softmax,
    "Sigmoid": lambda z: np.asarray(1 / (1 + np.exp(-z)), z.dtype),
    "Exp": lambda z: np.asarray(np.exp(z - 4), z.dtype),
}


def log_of(probability: str, eps: float = 0.0, complement: bool = False, upper: float = 1.0) -> Step:
    """log(p + eps) or log(1 - minimum(p, upper) + eps) of a moderate probability, with its gradient."""
    function = PROBABILITIES[probability]

    def step(trace: Trace, i: int) -> None:
        z = data(trace, [[0.0, 1.0], [2.0, 0.5]])
        p = op(trace, probability, function(z.array), z)
        if complement:
            one, low = literal(trace, 1.0), clipped(trace, p, upper)
            p = op(trace, "Sub", one.array - low.array, one, low)
        p = guarded(trace, p, eps)
        returned_mean(trace, differentiated(trace, op(trace, "Log", np.log(p.array), p)))

    return step


def exponentials(formula: str, largest: float, stable: bool = False) -> Step:
    """exp(z) / sum(exp(z)), or log(sum(exp(z))), with or without the maximum subtracted."""

    def step(trace: Trace, i: int) -> None:
        z = data(trace, [[0.0, largest], [2.0, 0.5]])
        if stable:
            peak = op(trace, "Max", z.array.max(-1, keepdims=True), z)
            z = op(trace, "Sub", z.array - peak.array, z, peak)
        e = op(trace, "Exp", np.exp(z.array), z)
        total = op(trace, "Sum", e.array.sum(-1, keepdims=True), e)
        if formula == "softmax":
            returned_mean(trace, op(trace, "RealDiv", e.array / total.array, e, total))
        else:
            returned_mean(trace, op(trace, "Log", np.log(total.array), total))

    return step


def reciprocal_norm(limit: float) -> Step:
    """X * minimum(rsqrt(sum(x^2)), limit), as Keras normalises."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, [[3.0, 4.0], [1.0, 0.5]])
        square = op(trace, "Square", np.square(x.array), x)
        total = op(trace, "Sum", square.array.sum(-1), square)
        returned_mean(trace, clipped(trace, op(trace, "Rsqrt", 1 / np.sqrt(total.array), total), limit))

    return step


def chosen_log(safe: bool, of_expm1: bool = False) -> Step:
    """where(x > 0, w * log(x), 0) of positive data, the argument made safe first or not, or log(expm1(x))."""

    def step(trace: Trace, i: int) -> None:
        x, w = data(trace, [1.0, 2.0]), variable(trace, [1.0, 1.0])
        if safe:
            x = op(trace, "SelectV2", x.array, Node(-1, x.array), x, literal(trace, [1.0, 1.0]))
        if of_expm1:
            x = op(trace, "Expm1", np.expm1(x.array), x)
        log = op(trace, "Log", np.log(x.array), x)
        product = differentiated(trace, op(trace, "Mul", w.array * log.array, w, log))
        returned_mean(trace, op(trace, "SelectV2", product.array, Node(-1, x.array), product, literal(trace, 0.0)))

    return step


def norm(eps: float = 0.0, chosen: bool = False, examples: int = 2) -> Step:
    """sqrt(sum(x^2) + eps) with its gradient; ``chosen``: only tf.where reads it, which TensorFlow's SqrtGrad bears."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, np.array([[3.0, 4.0], [1.0, 0.5]])[:examples])
        square = op(trace, "Square", np.square(x.array), x)
        total = guarded(trace, op(trace, "Sum", square.array.sum(-1), square), eps)
        root = differentiated(trace, op(trace, "Sqrt", np.sqrt(total.array), total))
        if chosen:
            root = op(trace, "SelectV2", root.array, Node(-1, root.array), root, literal(trace, 0.0))
        op(trace, "Sum", np.asarray(root.array.sum()), root, returned=True)

    return step


def root_of_difference(lower: float = -1e9) -> Step:
    """sqrt(maximum(a - b, lower)) with its gradient."""

    def step(trace: Trace, i: int) -> None:
        a, b, low = data(trace, [3.0, 4.0]), data(trace, [1.0, 0.5]), literal(trace, lower)
        apart = op(trace, "Sub", a.array - b.array, a, b)
        above = op(trace, "Maximum", np.maximum(apart.array, low.array), apart, low)
        returned_mean(trace, differentiated(trace, op(trace, "Sqrt", np.sqrt(above.array), above)))

    return step


def _tanh_below(trace: Trace, upper: float) -> Node:
    x = data(trace, [0.3, 0.9])
    return clipped(trace, op(trace, "Tanh", np.tanh(x.array), x), upper)


def power(exponent: float, upper: float, trained: bool = False) -> Step:
    """(1 - minimum(tanh(x), upper)) ** exponent with its gradient; the exponent a literal or a variable."""

    def step(trace: Trace, i: int) -> None:
        low = _tanh_below(trace, upper)
        one, p = literal(trace, 1.0), variable(trace, exponent) if trained else literal(trace, exponent)
        base = op(trace, "Sub", one.array - low.array, one, low)
        returned_mean(trace, differentiated(trace, op(trace, "Pow", np.power(base.array, p.array), base, p)))

    return step


def arc_cosine(upper: float) -> Step:
    """acos(minimum(tanh(x), upper)) with its gradient."""

    def step(trace: Trace, i: int) -> None:
        low = _tanh_below(trace, upper)
        returned_mean(trace, differentiated(trace, op(trace, "Acos", np.arccos(low.array), low)))

    return step


def masked_mean(eps: float = 0.0, zeros: bool = True, exp: bool = False) -> Step:
    """sum(x m) / (sum(m) + eps) per row, m a mask, or weights made by Exp."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, [[0.3, 0.9], [0.1, 0.2]])
        m = data(trace, [[1.0, 0.0 if zeros else 0.5], [1.0, 1.0]])
        if exp:
            m = op(trace, "Exp", np.exp(m.array), m)
        product = op(trace, "Mul", x.array * m.array, x, m)
        above = op(trace, "Sum", product.array.sum(-1), product)
        below = guarded(trace, op(trace, "Sum", m.array.sum(-1), m), eps)
        returned_mean(trace, op(trace, "RealDiv", above.array / below.array, above, below))

    return step


def product_of(count: int) -> Step:
    """The logarithm of a product of probabilities of 1/2."""

    def step(trace: Trace, i: int) -> None:
        p = data(trace, np.full((2, count), 0.5))
        product = op(trace, "Prod", p.array.prod(-1), p)
        returned_mean(trace, op(trace, "Log", np.log(product.array), product))

    return step


def cooling(rate: float) -> Step:
    """Scores divided by a temperature of 1 - rate * step / 1."""

    def step(trace: Trace, i: int) -> None:
        x, at, one = data(trace, [1.0, 2.0]), data(trace, [rate * i]), literal(trace, 1.0)
        done = op(trace, "RealDiv", at.array / one.array, at, one)
        temperature = op(trace, "Sub", one.array - done.array, one, done)
        returned_mean(trace, op(trace, "RealDiv", x.array / temperature.array, x, temperature))

    return step


def divided_by(op_type: str) -> Step:
    """Data divided by op(x): a sum over groups, eigenvalues, a ReLU."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, [[2.0, 0.5], [0.5, 2.0]])
        below = op(trace, op_type, x.array.sum(-1), x)
        returned_mean(trace, op(trace, "RealDiv", x.array / below.array, x, below))

    return step


def relu(values: list[float]) -> Step:
    """A ReLU with its gradient."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, values)
        returned_mean(trace, differentiated(trace, op(trace, "Relu", np.maximum(x.array, 0), x)))

    return step


def masked_scores(changing: bool) -> Step:
    """Softmax of scores with -Inf in them, in one pattern or by data."""

    def step(trace: Trace, i: int) -> None:
        hidden = -np.inf if changing and i % 2 else 0.0
        z = data(trace, [[-np.inf, 1.0, hidden], [0.0, 1.0, 2.0]])
        returned_mean(trace, op(trace, "Softmax", softmax(z.array), z))

    return step
