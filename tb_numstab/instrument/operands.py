"""What an op did to its operands: element counts of the op-level IEEE 754 events.

A row of counters sees one tensor; absorption, cancellation and underflow show only when operands and
result lie side by side. Counted on bit patterns, like the rows (see counters.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.bits import Array, Bits, Layout, bits_of, exponents_of, layout_of, magnitude_of
from tb_numstab.instrument.counters import CHUNK
from tb_numstab.instrument.samples import sampled, starts_of
from tb_numstab.schema.columns import INDEX, Row
from tb_numstab.schema.formats import FORMATS

Mask = NDArray[np.bool_]

COUNT_FROM = 0.25
"""Absorbed share of a sample from which all elements are counted; what the analysis says of absorbed sums
begins at half of them."""

_NONFINITE = [INDEX[name] for name in ("nan", "pos_inf", "neg_inf")]
_BELOW_NORMAL = [INDEX[name] for name in ("zero", "subnormal")]


def _magnitude(array: Array) -> Bits:
    return magnitude_of(bits_of(array), layout_of(array.dtype))


def _zero(array: Array) -> Mask:
    return np.equal(_magnitude(array), 0)


def _negative_infinity(array: Array) -> Mask:
    layout = layout_of(array.dtype)
    return np.equal(bits_of(array), layout.sign | layout.infinity)


def _finite(array: Array) -> Mask:
    return np.less(_magnitude(array), layout_of(array.dtype).nonfinite)


def _count(mask: Mask, shape: tuple[int, ...]) -> int:
    """True elements of a mask once broadcast to ``shape``."""
    return int(np.count_nonzero(mask if mask.shape == shape else np.broadcast_to(mask, shape)))


def _parts(out: Array, inputs: Sequence[Array]) -> Iterator[tuple[Array, list[Array]]]:
    """A result and its operands some rows at a time: few enough to stay in a core's second-level cache."""
    if all(x.size == 1 or x.shape == out.shape for x in inputs):
        out, inputs = out.reshape(-1), [x.reshape(-1) for x in inputs]
    rows = max(1, CHUNK * len(out) // out.size)
    for start in range(0, len(out), rows):
        here = slice(start, start + rows)
        yield out[here], [x[here] if x.ndim == out.ndim and len(x) == len(out) else x for x in inputs]


class _Kind(NamedTuple):
    """What can be counted of an op.

    Attributes:
      arity: number of operands.
      overflows: of the operands, where a non-finite result is an overflow.
      vanishes: of the operands, where the exact result is zero: a zero or subnormal one is an underflow elsewhere.
        None where it never is.
      sign: of a sum the sign of the second operand; 0 for any other op.
    """

    arity: int
    overflows: Callable[..., Mask]
    vanishes: Callable[..., Mask] | None = None
    sign: int = 0


def _both_finite(a: Array, b: Array) -> Mask:
    return _finite(a) & _finite(b)


_SUM = _Kind(2, _both_finite, sign=1)
_PRODUCT = _Kind(2, _both_finite, lambda a, b: _zero(a) | _zero(b))
# A zero denominator is division by zero, not overflow.
_QUOTIENT = _Kind(2, lambda a, b: _both_finite(a, b) & ~_zero(b), lambda a, b: _zero(a) | ~_finite(b))
_MONOTONE = _Kind(1, _finite, _zero)
_EXPONENTIAL = _Kind(1, _finite, _negative_infinity)

_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("Add", "AddV2", "BiasAdd", "AddN"), _SUM),
    "Sub": _SUM._replace(sign=-1),
    "Mul": _PRODUCT,
    **dict.fromkeys(("RealDiv", "Div"), _QUOTIENT),
    **dict.fromkeys(("Square", "Cast"), _MONOTONE),
    **dict.fromkeys(("Exp", "Softmax", "Sigmoid"), _EXPONENTIAL),
}


def counts_events(op_type: str, input_dtypes: Sequence[str]) -> bool:
    """Whether count_events knows the op: its type, its number of operands, their formats."""
    known = _KINDS.get(op_type)
    return known is not None and known.arity == len(input_dtypes) and all(d in FORMATS for d in input_dtypes)


class Op(NamedTuple):
    """An op of a type that ``counts_events`` knows, its result, and its operands, whose shapes broadcast to that."""

    op_type: str
    out: Array
    inputs: Sequence[Array]


def count_events(rows: Row, ops: Mapping[int, Op]) -> None:
    """Fills the op-level columns from the ops' operands and results.

    Args:
      rows: float64 [k, WIDTH], the counters of the results: they tell which events cannot have happened.
      ops: by the row of their result.
    """
    nonfinite, tiny = rows[:, _NONFINITE].sum(axis=1), rows[:, _BELOW_NORMAL].sum(axis=1)
    sums: dict[np.dtype[np.generic], dict[int, Op]] = {}
    for i, op in ops.items():
        if not op.out.size:
            continue
        kind = _KINDS[op.op_type]
        rows[i, INDEX["overflow"]] = _overflows(op, kind) if nonfinite[i] else 0
        if kind.vanishes is not None:
            exact = _exact_zeros(op, kind.vanishes, nonfinite[i] > 0) if tiny[i] else 0
            rows[i, INDEX["underflow"]] = tiny[i] - exact
        if kind.sign:
            sums.setdefault(op.out.dtype, {})[i] = op
    for dtype, alike in sums.items():
        _judge_sums(rows, alike, layout_of(dtype))


def _overflows(op: Op, kind: _Kind) -> int:
    """Non-finite results that are overflows."""
    parts = _parts(op.out, op.inputs)
    return sum(_count(~_finite(out) & kind.overflows(*operands), out.shape) for out, operands in parts)


def _exact_zeros(op: Op, vanishes: Callable[..., Mask], nonfinite: bool) -> int:
    """Zero results that are exact; ``nonfinite`` where some results are not finite, as that of 0 * Inf."""
    masks = ((out, vanishes(*operands)) for out, operands in _parts(op.out, op.inputs))
    return sum(_count(mask & _finite(out) if nonfinite else mask, out.shape) for out, mask in masks)


def _judge_sums(rows: Row, ops: Mapping[int, Op], layout: Layout) -> None:
    """Fills operands, absorbed and cancelled; of a large sum from a sample, unless much of that is absorbed.

    Nothing is claimed of a sum that loses less, and to count it would cost more than everything else. The samples
    are laid end to end.
    """
    samples = [_addition(op.op_type, *sampled(op.out, op.inputs)) for op in ops.values()]
    lengths = np.array([len(out) for out, *_ in samples])
    out, a, b = map(np.concatenate, zip(*samples, strict=True))
    starts, where = starts_of(lengths), list(ops)
    rows[where, INDEX["cancelled"]] = np.maximum.reduceat(_cancelled_bits(out, a, b, layout), starts).clip(0)
    both, absorbed = (np.add.reduceat(mask, starts, dtype=np.int64) for mask in _absorbed(out, a, b, layout))
    share = lengths / [op.out.size for op in ops.values()]
    rows[where, INDEX["operands"]], rows[where, INDEX["absorbed"]] = both / share, absorbed / share
    for index in np.flatnonzero((share < 1) & (absorbed >= COUNT_FROM * both)):
        op = ops[where[index]]
        parts = (_addition(op.op_type, *part) for part in _parts(op.out, op.inputs))
        counts = [[np.count_nonzero(mask) for mask in _absorbed(*part, layout)] for part in parts]
        rows[where[index], [INDEX["operands"], INDEX["absorbed"]]] = np.sum(counts, axis=0)


def _addition(op_type: str, out: Array, inputs: Sequence[Array]) -> tuple[Bits, Bits, Bits]:
    """A sum and its two terms as bit patterns: of a difference the second with its sign turned."""
    a, b = (bits_of(x) if x.shape == out.shape else np.broadcast_to(bits_of(x), out.shape) for x in inputs)
    return bits_of(out), a, b if _KINDS[op_type].sign > 0 else b ^ b.dtype.type(layout_of(out.dtype).sign)


def _absorbed(out: Bits, a: Bits, b: Bits, layout: Layout) -> tuple[Mask, Mask]:
    """Where both terms of a sum are non-zero, and where one of them left the other unchanged."""
    both = (magnitude_of(a, layout) != 0) & (magnitude_of(b, layout) != 0)
    unchanged = (out == a) | (out == b)
    return both, unchanged & both & (magnitude_of(out, layout) < layout.nonfinite)


def _cancelled_bits(out: Bits, a: Bits, b: Bits, layout: Layout) -> NDArray[np.signedinteger]:
    """max(E(a), E(b)) - E(out) of sums.

    0 for an exactly zero result: x - x is exact. A non-finite one has the largest exponent, so it adds nothing.
    """
    larger, magnitude = np.maximum(magnitude_of(a, layout), magnitude_of(b, layout)), magnitude_of(out, layout)
    zero = magnitude == 0
    if zero.any():
        larger[zero] = magnitude[zero] = layout.normal
    lost: NDArray[np.signedinteger] = exponents_of(larger, layout) - exponents_of(magnitude, layout)
    return lost


def count_update(row: Row, new: Array, inputs: Sequence[Array]) -> None:
    """Fills absorbed and operands of a variable update from its old value and the delta, in ``inputs``.

    Absorbed are the elements that a non-zero delta left unchanged.
    """
    finite = row[_NONFINITE].sum() == 0
    row[INDEX["absorbed"]] = row[INDEX["operands"]] = 0
    for part, (old, delta) in _parts(new, inputs) if new.size else ():
        moved = ~_zero(delta)
        row[INDEX["operands"]] += _count(moved, part.shape)
        unchanged = bits_of(part) == bits_of(old)
        if unchanged.any():
            row[INDEX["absorbed"]] += _count(moved & unchanged & (finite or _finite(part)), part.shape)
