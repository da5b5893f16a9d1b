"""What an op did to its operands: element counts of the op-level IEEE 754 events.

A row of counters sees one tensor; absorption, cancellation and underflow show only when operands and
result lie side by side. Counted on bit patterns, like the rows (see counters.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.counters import CHUNK, Bits, exponents_of, layout_of, stride_of
from tb_numstab.schema.columns import INDEX, Row
from tb_numstab.schema.formats import FORMATS

Array = NDArray[np.generic]
Mask = NDArray[np.bool_]

COUNT_FROM = 0.25
"""Absorbed share of a sample from which all elements are counted; what the analysis says of absorbed sums
begins at half of them."""


def _bits(array: Array) -> Bits:
    return array.view(layout_of(array.dtype).unsigned)


def _magnitude(array: Array) -> Bits:
    bits = _bits(array)
    return bits & bits.dtype.type(layout_of(array.dtype).sign - 1)


def _nonzero(array: Array) -> Mask:
    return np.not_equal(_magnitude(array), 0)


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
      underflows: of the operands, where a zero or subnormal result is an underflow; None where it never is.
      sign: of a sum the sign of the second operand; 0 for any other op.
    """

    arity: int
    overflows: Callable[..., Mask]
    underflows: Callable[..., Mask] | None = None
    sign: int = 0


def _both_finite(a: Array, b: Array) -> Mask:
    return _finite(a) & _finite(b)


_SUM = _Kind(2, _both_finite, sign=1)
_PRODUCT = _Kind(2, _both_finite, lambda a, b: _nonzero(a) & _nonzero(b))
# A zero denominator is division by zero, not overflow.
_QUOTIENT = _Kind(2, lambda a, b: _both_finite(a, b) & _nonzero(b), lambda a, b: _nonzero(a) & _finite(b))
_MONOTONE = _Kind(1, _finite, _nonzero)
# Never zero in exact arithmetic for a finite operand.
_EXPONENTIAL = _Kind(1, _finite, _finite)

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


def count_events(op_type: str, row: Row, out: Array, inputs: Sequence[Array]) -> None:
    """Fills the op-level columns of ``row`` from the op's operands and its result, of any shapes.

    Args:
      op_type: one that ``counts_events`` knows.
      row: the counters of ``out``: they tell which events cannot have happened.
      out: the result.
      inputs: the operands; their shapes broadcast to that of ``out``.
    """
    if not out.size:
        return
    kind = _KINDS[op_type]
    _count_range(row, out, inputs, kind)
    if kind.sign:
        _judge_sum(row, out, inputs, kind.sign)


def _count_range(row: Row, out: Array, inputs: Sequence[Array], kind: _Kind) -> None:
    """Fills overflow and underflow."""
    bad = row[INDEX["nan"]] + row[INDEX["pos_inf"]] + row[INDEX["neg_inf"]] > 0
    tiny = kind.underflows is not None and row[INDEX["zero"]] + row[INDEX["subnormal"]] > 0
    row[INDEX["overflow"]] = 0
    if kind.underflows is not None:
        row[INDEX["underflow"]] = 0
    for part, operands in _parts(out, inputs) if bad or tiny else ():
        if bad:
            row[INDEX["overflow"]] += _count(~_finite(part) & kind.overflows(*operands), part.shape)
        if tiny and kind.underflows is not None:
            below = np.less(_magnitude(part), layout_of(out.dtype).normal)
            row[INDEX["underflow"]] += _count(below & kind.underflows(*operands), part.shape)


def _judge_sum(row: Row, out: Array, inputs: Sequence[Array], sign: int) -> None:
    """Fills operands, absorbed and cancelled; of a large sum from a sample, unless much of that is absorbed.

    Nothing is claimed of a sum that loses less, and to count it would cost more than everything else.
    """
    sample, operands = sampled(out, inputs)
    row[INDEX["cancelled"]] = _cancelled_bits(sample, operands)
    both, absorbed = _count_sum(sample, operands, sign)
    share = sample.size / out.size
    if share < 1 and absorbed >= COUNT_FROM * both:
        counts = [_count_sum(*part, sign) for part in _parts(out, inputs)]
        (both, absorbed), share = np.sum(counts, axis=0), 1.0
    row[INDEX["operands"]], row[INDEX["absorbed"]] = both / share, absorbed / share


def _count_sum(out: Array, inputs: Sequence[Array], sign: int) -> tuple[int, int]:
    """Elements with two non-zero operands, and those of them where one left the other unchanged."""
    a, b = inputs
    both = _nonzero(a) & _nonzero(b)
    alone = _bits(b) if sign > 0 else _bits(b) ^ _bits(b).dtype.type(layout_of(b.dtype).sign)
    unchanged = (_bits(out) == _bits(a)) | (_bits(out) == alone)
    absorbed = _count(unchanged & both & _finite(out), out.shape) if unchanged.any() else 0
    return _count(both, out.shape), absorbed


def sampled(array: Array, operands: Sequence[Array]) -> tuple[Array, list[Array]]:
    """A fixed-stride sample of a tensor, flat, and the same elements of its operands."""
    stride = stride_of(array.size)
    where: tuple[NDArray[np.intp], ...] = ()
    parts: list[Array] = []
    for x in operands:
        if x.size == 1 or x.shape == array.shape:
            parts.append(x.reshape(-1)[::stride])
        else:
            where = where or np.unravel_index(np.arange(0, array.size, stride), array.shape)
            parts.append(x[tuple(i if n > 1 else 0 for i, n in zip(where[-x.ndim :], x.shape, strict=True))])
    return array.reshape(-1)[::stride], parts


def _cancelled_bits(out: Array, inputs: Sequence[Array]) -> float:
    """max(max(E(a), E(b)) - E(out)) over the elements with a non-zero result; at least 0.

    An exactly zero result is left out: x - x is exact. A non-finite one has the largest exponent, so it adds nothing.
    """
    layout = layout_of(out.dtype)
    larger, magnitude = np.maximum(*map(_magnitude, inputs)), _magnitude(out)
    nonzero = magnitude != 0
    if not nonzero.all():
        larger, magnitude = np.broadcast_to(larger, nonzero.shape)[nonzero], magnitude[nonzero]
    return float((exponents_of(larger, layout) - exponents_of(magnitude, layout)).max(initial=0))


def count_update(row: Row, new: Array, inputs: Sequence[Array]) -> None:
    """Fills absorbed and operands of a variable update from its old value and the delta, in ``inputs``.

    Absorbed are the elements that a non-zero delta left unchanged.
    """
    row[INDEX["absorbed"]] = row[INDEX["operands"]] = 0
    if not new.size:
        return
    for part, (old, delta) in _parts(new, inputs):
        moved = _nonzero(delta)
        row[INDEX["operands"]] += _count(moved, part.shape)
        unchanged = _bits(part) == _bits(old)
        if unchanged.any():
            row[INDEX["absorbed"]] += _count(moved & unchanged & _finite(part), part.shape)
