"""Training steps that the rules are tried on: each is wrong, or healthy, depending on its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tb_numstab.schema.ops import Role
from tests.analysis.programs import Step, data, literal, op, returned_mean, unary, update, variable
from tests.support.numpy_trace import Array, Node, Trace

H = np.float16


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True), z.dtype)


def gradient(op_type: str, function: Callable[..., Any], forward: str, x: Any, *others: Any) -> Step:
    """Trains w with the result of a gradient op of ``forward(x)``."""

    def step(trace: Trace, i: int) -> None:
        operand, rest = data(trace, x), [data(trace, o) for o in others]
        made = op(trace, forward, np.zeros_like(operand.array), operand)
        result = np.asarray(function(operand.array, *(r.array for r in rest)), np.float32)
        g = op(trace, op_type, result, operand, *rest, role=Role.GRADIENT, gradient_of=made.slot)
        update(trace, variable(trace, np.ones_like(result)), g)

    return step


def where(discards: bool) -> Step:
    """Trains w on mean(where(x > 0, w * log(x), 0)), with the argument made safe first or not."""

    def step(trace: Trace, i: int) -> None:
        x, w = data(trace, [-1.0, 2.0]), variable(trace, [1.0, 1.0])
        safe = op(
            trace, "SelectV2", np.where(x.array > 0, x.array, 1), Node(-1, x.array), x, literal(trace, [1.0, 1.0])
        )
        log = op(trace, "Log", np.log((x if discards else safe).array), x if discards else safe)
        product = op(trace, "Mul", w.array * log.array, w, log)
        zero = literal(trace, [0.0, 0.0])
        chosen = np.where(x.array > 0, product.array, 0).astype(np.float32)
        returned_mean(trace, op(trace, "SelectV2", chosen, Node(-1, x.array), product, zero))
        upstream = data(trace, [0.0, 0.5])
        g = op(trace, "Mul", upstream.array * log.array, upstream, log, role=Role.GRADIENT, gradient_of=product.slot)
        update(trace, w, g)

    return step


def descent(start: Any, delta: Callable[[int, Array], Any], dtype: Any, trainable: bool = True) -> Step:
    """Subtracts delta(step, w) from w at every step."""
    state: dict[str, Array] = {}

    def step(trace: Trace, i: int) -> None:
        if i == 0:
            state["w"] = np.asarray(start, dtype)
        w = variable(trace, state["w"], dtype, trainable=trainable)
        change = np.broadcast_to(np.asarray(delta(i, w.array), dtype), w.array.shape)
        new = update(trace, w, op(trace, "Identify", change, role=Role.OPTIMIZER), trainable=trainable)
        state["w"] = new.array

    return step


def sgd(start: float, rate: float, size: Callable[[int], float]) -> Step:
    """Descent with a gradient of the given size."""
    state: dict[str, Array] = {}

    def step(trace: Trace, i: int) -> None:
        w = variable(trace, np.full(8, start, np.float32) if i == 0 else state["w"])
        lr = literal(trace, rate)
        g = op(trace, "MatMul", np.full(8, size(i), np.float32), data(trace, [size(i)]), role=Role.GRADIENT)
        delta = op(trace, "Mul", g.array * lr.array, g, lr, role=Role.OPTIMIZER)
        state["w"] = update(trace, w, delta).array

    return step


def average(dtype: Any, rate: float) -> Step:
    """Average += rate * (w - average), w half a unit away, in a variable that is not trained."""
    state: dict[str, Array] = {}

    def step(trace: Trace, i: int) -> None:
        old = variable(trace, np.ones(8) if i == 0 else state["average"], dtype, name="average", trainable=False)
        factor = literal(trace, rate, dtype)
        apart = op(trace, "Sub", old.array - dtype(1.5), old, data(trace, np.full(8, 1.5), dtype), role=Role.OPTIMIZER)
        change = op(trace, "Mul", apart.array * factor.array, apart, factor, role=Role.OPTIMIZER)
        state["average"] = update(trace, old, change, name="average", trainable=False).array

    return step


def counter(dtype: Any) -> Step:
    """Count = count + 1."""
    state: dict[str, Array] = {}

    def step(trace: Trace, i: int) -> None:
        old = variable(trace, 255.0 if i == 0 else state["count"], dtype, name="count", trainable=False)
        one = literal(trace, 1.0, dtype)
        total = op(trace, "AddV2", (old.array + one.array).astype(dtype), old, one)
        state["count"] = total.array
        op(trace, "AssignVariableOp", total.array, old, total, role=Role.UPDATE, variable="count", trainable=False)

    return step


def soft_update(dtype: Any, tau: float, rate_is_literal: bool = True) -> Step:
    """Average = (1 - tau) * average + tau * w, all of it in ``dtype``; tau a literal or an argument."""

    def step(trace: Trace, i: int) -> None:
        one, rate = literal(trace, 1.0, dtype), (literal if rate_is_literal else data)(trace, tau, dtype)
        old = variable(trace, np.ones(8), dtype, name="average", trainable=False)
        kept = op(trace, "Sub", one.array - rate.array, one, rate)
        w = data(trace, np.full(8, 1.5), dtype)
        parts = [op(trace, "Mul", f.array * v.array, f, v) for f, v in ((kept, old), (rate, w))]
        total = op(trace, "AddV2", parts[0].array + parts[1].array, *parts)
        op(trace, "AssignVariableOp", total.array, old, total, role=Role.UPDATE, variable="average", trainable=False)

    return step


def literals(small: float) -> Step:
    """A loss that is divided by 1 + small, both literals."""

    def step(trace: Trace, i: int) -> None:
        one, other, x = literal(trace, 1.0), literal(trace, small), data(trace, [1.0, 2.0])
        total = op(trace, "AddV2", one.array + other.array, one, other)
        returned_mean(trace, op(trace, "RealDiv", x.array / total.array, x, total))

    return step


def bias_correction(beta: float, rate: float = 0.01) -> Step:
    """Subtracts rate * (1 - beta) * gradient; beta is 1 where a narrow format has rounded it."""
    state: dict[str, Array] = {}

    def step(trace: Trace, i: int) -> None:
        w = variable(trace, np.ones(8) if i == 0 else state["w"])
        one, decay, lr = literal(trace, 1.0), data(trace, beta), data(trace, rate)
        kept = op(trace, "Sub", one.array - decay.array, one, decay)
        alpha = op(trace, "Mul", lr.array * kept.array, lr, kept)
        g = op(trace, "MatMul", np.full(8, 0.5, np.float32), data(trace, [1.0]), role=Role.GRADIENT)
        state["w"] = update(trace, w, op(trace, "Mul", alpha.array * g.array, alpha, g, role=Role.OPTIMIZER)).array

    return step


def loop_total(dtype: Any, addends: int) -> Step:
    """A running total of ones in a loop body, measured over all its iterations."""

    def step(trace: Trace, i: int) -> None:
        start, x = literal(trace, 0.0, dtype), data(trace, 1.0, dtype)
        before = np.minimum(np.arange(addends), 2048).astype(dtype)
        total = op(trace, "AddV2", before + x.array, Node(start.slot, before), x, graph="while/body", looped=True)
        trace.amend(total, calls=addends)  # one per iteration, over which the row combines
        returned_mean(trace, total)

    return step


def variance(offset: float, two_pass: bool = False) -> Step:
    """1 / sqrt(var + eps) of numbers near ``offset``."""
    random = np.random.default_rng(0)

    def step(trace: Trace, i: int) -> None:
        x = data(trace, offset + random.normal(0, 0.5, (20, 6)))
        mean = op(trace, "Mean", x.array.mean(0), x)
        centred = op(trace, "Sub", x.array - mean.array, x, mean)
        if two_pass:
            square = op(trace, "Square", np.square(centred.array), centred)
            spread = op(trace, "Mean", square.array.mean(0), square)
        else:
            square = op(trace, "Square", np.square(x.array), x)
            of_squares = op(trace, "Mean", square.array.mean(0), square)
            squared = op(trace, "Square", np.square(mean.array), mean)
            spread = op(trace, "Sub", of_squares.array - squared.array, of_squares, squared)
        low, eps = literal(trace, 0.0), literal(trace, 1e-5)
        clipped = op(trace, "Maximum", np.maximum(spread.array, low.array), spread, low)
        guarded = op(trace, "AddV2", clipped.array + eps.array, clipped, eps)
        returned_mean(trace, op(trace, "Rsqrt", 1 / np.sqrt(guarded.array), guarded))

    return step


def rms_norm(largest: float, given_scale: bool = False) -> Step:
    """Root mean square norm, x / sqrt(mean(x^2)), in float16, or another tensor divided by that norm."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, [[1.0, 2.0], [largest, 1.0]], H)
        square = op(trace, "Square", np.square(x.array), x)
        mean = op(trace, "Mean", square.array.mean(-1, keepdims=True), square)
        inverse = op(trace, "Rsqrt", (1 / np.sqrt(mean.array)).astype(H), mean)
        scaled = data(trace, [[1.0, 1.0], [1.0, 1.0]], H) if given_scale else x
        returned_mean(trace, op(trace, "Mul", scaled.array * inverse.array, scaled, inverse))

    return step


def time_gaps(start: int, seconds: int) -> Step:
    """Differences of whole numbers, ``seconds`` apart, that were cast to float32 first."""

    def step(trace: Trace, i: int) -> None:
        stamps = start + seconds * np.arange(6.0)  # as the trace measures whole numbers
        cast = op(trace, "Cast", stamps.astype(np.float32), Node(-1, stamps))
        late, early = (op(trace, "StridedSlice", cast.array[part], cast) for part in (slice(1, None), slice(-1)))
        returned_mean(trace, op(trace, "Sub", late.array - early.array, late, early))

    return step


def distance(offset: float) -> Step:
    """sqrt(|a|^2 + |b|^2 - 2ab), in scalars."""

    def step(trace: Trace, i: int) -> None:
        a, b = data(trace, [offset, offset + 1]), data(trace, [offset + 0.5, offset + 2])
        squares = op(trace, "Square", np.square(a.array), a), op(trace, "Square", np.square(b.array), b)
        total = op(trace, "AddV2", squares[0].array + squares[1].array, *squares)
        product = op(trace, "Mul", 2 * a.array * b.array, a, b)
        apart = op(trace, "Sub", np.maximum(total.array - product.array, 0), total, product)
        returned_mean(trace, op(trace, "Sqrt", np.sqrt(apart.array), apart))

    return step


def guarded_division(epsilon: float, dtype: Any) -> Step:
    def step(trace: Trace, i: int) -> None:
        v, eps = data(trace, [4.0, 1.0], dtype), literal(trace, epsilon, dtype)
        root = op(trace, "Sqrt", np.sqrt(v.array), v)
        total = op(trace, "AddV2", root.array + eps.array, root, eps)
        returned_mean(trace, op(trace, "RealDiv", v.array / total.array, v, total))

    return step


def added(
    a: Any, b: Any, b_is_literal: bool = False, before_softmax: bool = False, b_is_variable: bool = False
) -> Step:
    """mean(a * 1 + b), b a computed tensor, a literal or a variable, or softmax of the sum."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, a)
        if b_is_variable:
            y = variable(trace, b)
        else:
            y = literal(trace, b) if b_is_literal else op(trace, "Tanh", np.asarray(b, np.float32), data(trace, b))
        total = op(trace, "AddV2", x.array + y.array, x, y)
        returned_mean(trace, op(trace, "Softmax", softmax(total.array), total) if before_softmax else total)

    return step


def cast(values: Any) -> Step:
    """Values go to float16 and into the loss."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, values)
        returned_mean(trace, op(trace, "Cast", x.array.astype(H), x))

    return step


def attention(size: float, dtype: Any = H) -> Step:
    """Softmax(q k^T / 8) with queries and keys of the given size."""

    def step(trace: Trace, i: int) -> None:
        q, k = data(trace, [[size, size]], dtype), data(trace, [[size], [size]], dtype)
        product = op(trace, "BatchMatMulV2", q.array @ k.array, q, k)
        eighth = literal(trace, 0.125, dtype)
        scores = op(trace, "Mul", product.array * eighth.array, product, eighth)
        returned_mean(trace, op(trace, "Softmax", softmax(scores.array), scores))

    return step


def gradient_cast(scale: float, forward: bool = False) -> Step:
    """A gradient (or an activation) of the given scale goes to float16."""
    random = np.random.default_rng(0)

    def step(trace: Trace, i: int) -> None:
        role = Role.FORWARD if forward else Role.GRADIENT
        size = variable(trace, [scale], name="size")
        wide = op(trace, "Mul", (scale * random.normal(0, 1, 200)).astype(np.float32), size, role=role)
        narrow = op(trace, "Cast", wide.array.astype(H), wide, role=role)
        update(trace, variable(trace, np.ones(200)), op(trace, "Cast", narrow.array.astype(np.float32), narrow))

    return step


def growing(op_type: str, values: Callable[[int], Any], function: Callable[[Any], Any]) -> Step:
    """A loss of mean(op(x)), x changing from step to step."""

    def step(trace: Trace, i: int) -> None:
        x = op(trace, "Mul", np.asarray(values(i), np.float32), data(trace, [1.0]))
        returned_mean(trace, op(trace, op_type, np.asarray(function(x.array), np.float32), x))

    return step


def probability(spread: float, eps: float = 0.0) -> Step:
    """-mean(log(softmax(z) + eps))."""

    def step(trace: Trace, i: int) -> None:
        z = data(trace, [[0.0, spread], [1.0, 0.0]])
        p = op(trace, "Softmax", softmax(z.array), z)
        if eps:
            guard = literal(trace, eps)
            p = op(trace, "AddV2", p.array + guard.array, p, guard)
        returned_mean(trace, op(trace, "Log", np.log(p.array), p))

    return step


def bad_variable(value: float) -> Step:
    def step(trace: Trace, i: int) -> None:
        w = variable(trace, [value, 1.0])
        returned_mean(trace, op(trace, "Mul", w.array * np.float32(2), w))

    return step


def unseen(op_type: str, function: Callable[..., Any], operand: float, values: list[float]) -> Step:
    """A loss of mean(op(a, x)), a not measured."""

    def step(trace: Trace, i: int) -> None:
        a, x = np.full(len(values), operand, np.float32), data(trace, values)
        returned_mean(trace, op(trace, op_type, function(a, x.array), Node(-1, a), x))

    return step


def masked_by_literal(hidden: float) -> Step:
    """(1 - mask) * hidden in float16, hidden a literal."""

    def step(trace: Trace, i: int) -> None:
        inverse, far = data(trace, [0.0, 1.0], H), literal(trace, hidden, H)
        returned_mean(trace, op(trace, "Mul", inverse.array * far.array, inverse, far))

    return step


def loss_scaled(scaled: bool) -> Step:
    """Gradients divided by a loss scale of 2^15, with or without a product of loss and scale before."""

    def step(trace: Trace, i: int) -> None:
        scale = variable(trace, 2.0**15, name="optimizer/dynamic_scale", trainable=False)
        loss = returned_mean(trace, data(trace, [1.0, 2.0]))
        if scaled:
            product = op(trace, "Mul", loss.array * scale.array, loss, scale)
            op(trace, "Mul", scale.array, scale, loss, role=Role.GRADIENT, gradient_of=product.slot)
        g = op(trace, "MatMul", np.full(8, 64.0, np.float32), data(trace, [1.0]), role=Role.GRADIENT)
        change = op(trace, "RealDiv", g.array / scale.array, g, scale, role=Role.OPTIMIZER)
        update(trace, variable(trace, np.ones(8) - 0.002 * i), change)

    return step


def replayed(*notes: str) -> Step:
    """A step that is finite where it was measured, with these notes in its third record."""

    def step(trace: Trace, i: int) -> None:
        trace.notes = notes if i == 2 else ()
        returned_mean(trace, data(trace, [1.0, 2.0]))

    return step


def cumulative(dtype: Any) -> Step:
    return unary("Cumsum", lambda x: np.minimum(np.cumsum(x.astype(np.float32)), 2048.0 if dtype is H else np.inf),
                 np.ones(3000), dtype)  # fmt: skip
