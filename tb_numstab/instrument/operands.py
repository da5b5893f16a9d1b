"""What an op did to its operands: exact element counts of the op-level IEEE 754 events.

A row of counters sees one tensor; absorption, cancellation and underflow show only when operands and
result lie side by side. Counted on bit patterns, like the rows (see counters.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tb_numstab.instrument.counters import LAYOUTS, Bits, Layout
from tb_numstab.schema.columns import INDEX, Row

Array = NDArray[np.generic]
Mask = NDArray[np.bool_]

CANCEL_SAMPLE = 1 << 12
"""Elements compared for cancelled bits: the sample of the histogram (counters.SAMPLE)."""


def _bits(array: Array) -> Bits:
    return array.view(LAYOUTS[array.dtype.name].unsigned)


def _magnitude(array: Array) -> Bits:
    bits = _bits(array)
    return bits & bits.dtype.type(LAYOUTS[array.dtype.name].sign - 1)


def _finite(array: Array) -> Mask:
    return _magnitude(array) < LAYOUTS[array.dtype.name].nonfinite


def _count(mask: Mask, shape: tuple[int, ...]) -> int:
    """True elements of a mask once broadcast to ``shape``."""
    return int(np.count_nonzero(np.broadcast_to(mask, shape)))


def _underflow(row: Row, out: Array, operands_nonzero: Callable[[], Mask]) -> None:
    """Counts results that are zero or subnormal although the operands are not zero."""
    if row[INDEX["zero"]] + row[INDEX["subnormal"]] == 0:
        row[INDEX["underflow"]] = 0
        return
    tiny = _magnitude(out) < LAYOUTS[out.dtype.name].normal
    row[INDEX["underflow"]] = _count(tiny & operands_nonzero(), out.shape)


def _overflow(row: Row, out: Array, operands_finite: Callable[[], Mask]) -> None:
    """Counts non-finite results of finite operands."""
    if row[INDEX["nan"]] + row[INDEX["pos_inf"]] + row[INDEX["neg_inf"]] == 0:
        row[INDEX["overflow"]] = 0
        return
    row[INDEX["overflow"]] = _count(~_finite(out) & operands_finite(), out.shape)


def _sum(row: Row, out: Array, inputs: Sequence[Array], subtract: bool = False) -> None:
    """Add, Sub: absorption, cancellation, overflow."""
    a, b = inputs
    _overflow(row, out, lambda: _finite(a) & _finite(b))
    row[INDEX["operands"]] = _both_nonzero(a, b, out.shape)
    alone = _bits(b) ^ _bits(b).dtype.type(LAYOUTS[b.dtype.name].sign) if subtract else _bits(b)
    row[INDEX["absorbed"]] = _equal_despite(out, _bits(a), b) + _equal_despite(out, alone, a)
    row[INDEX["cancelled"]] = _cancelled_bits(out, a, b)


def _both_nonzero(a: Array, b: Array, shape: tuple[int, ...]) -> int:
    nonzero_a, nonzero_b = _magnitude(a) != 0, _magnitude(b) != 0
    if nonzero_a.all():
        return _count(nonzero_b, shape)
    return _count(nonzero_a if nonzero_b.all() else nonzero_a & nonzero_b, shape)


def _equal_despite(out: Array, kept: Bits, other: Array) -> int:
    """Finite elements of ``out`` equal to the non-zero operand ``kept`` although ``other`` is not zero."""
    equal = _bits(out) == kept
    if not equal.any():
        return 0
    return _count(equal & (kept << 1 != 0) & (_magnitude(other) != 0) & _finite(out), out.shape)


def _difference(row: Row, out: Array, inputs: Sequence[Array]) -> None:
    _sum(row, out, inputs, subtract=True)


def _cancelled_bits(out: Array, a: Array, b: Array) -> float:
    """max(max(E(a), E(b)) - E(out)) over elements with a non-zero result; at least 0.

    An exactly zero result is left out: x - x is exact. Large sums are sampled at a fixed stride.
    """
    layout = LAYOUTS[out.dtype.name]
    stride = max(1, out.size // CANCEL_SAMPLE)
    arrays = (np.broadcast_to(x, out.shape).reshape(-1)[::stride] if x.size > 1 else x.reshape(-1) for x in (out, a, b))
    result, first, second = (_magnitude(np.ascontiguousarray(x)).astype(np.int64) for x in arrays)
    known = (result > 0) & (result < layout.nonfinite)
    if not known.any():
        return 0.0
    lost = np.maximum(_exponent(first, layout), _exponent(second, layout)) - _exponent(result, layout)
    return float(max(0, int(lost[known].max())))


def _exponent(magnitude: NDArray[np.int64], layout: Layout) -> NDArray[np.int64]:
    """floor(log2) of finite magnitudes given as bits; zero counts as the smallest subnormal."""
    mantissa = layout.fmt.precision - 1
    biased = magnitude >> mantissa
    subnormal = layout.fmt.min_subnormal_exp + np.frexp(np.maximum(magnitude, 1))[1] - 1
    return np.where(biased > 0, biased - 1 + layout.fmt.min_exp, subnormal).astype(np.int64)


def _product(row: Row, out: Array, inputs: Sequence[Array]) -> None:
    """Mul: overflow, and underflow of non-zero factors."""
    a, b = inputs
    _overflow(row, out, lambda: _finite(a) & _finite(b))
    _underflow(row, out, lambda: (_magnitude(a) != 0) & (_magnitude(b) != 0))


def _quotient(row: Row, out: Array, inputs: Sequence[Array]) -> None:
    """RealDiv, Div: a zero denominator is division by zero, not overflow."""
    a, b = inputs
    _overflow(row, out, lambda: _finite(a) & _finite(b) & (_magnitude(b) != 0))
    _underflow(row, out, lambda: (_magnitude(a) != 0) & _finite(b))


def _unary(row: Row, out: Array, inputs: Sequence[Array]) -> None:
    """Square, Cast: monotone in the magnitude of one operand."""
    (a,) = inputs
    _overflow(row, out, lambda: _finite(a))
    _underflow(row, out, lambda: _magnitude(a) != 0)


def _exponential(row: Row, out: Array, inputs: Sequence[Array]) -> None:
    """Exp, Softmax, Sigmoid: never zero in exact arithmetic for a finite operand."""
    (a,) = inputs
    _overflow(row, out, lambda: _finite(a))
    _underflow(row, out, lambda: _finite(a))


_EVENTS: dict[str, tuple[int, Callable[[Row, Array, Sequence[Array]], None]]] = {
    **dict.fromkeys(("Add", "AddV2", "BiasAdd", "AddN"), (2, _sum)),
    "Sub": (2, _difference),
    "Mul": (2, _product),
    **dict.fromkeys(("RealDiv", "Div"), (2, _quotient)),
    **dict.fromkeys(("Square", "Cast"), (1, _unary)),
    **dict.fromkeys(("Exp", "Softmax", "Sigmoid"), (1, _exponential)),
}


def counts_events(op_type: str, input_dtypes: Sequence[str]) -> bool:
    """Whether count_events knows the op: its type, its number of operands, their formats."""
    known = _EVENTS.get(op_type)
    return known is not None and known[0] == len(input_dtypes) and all(d in LAYOUTS for d in input_dtypes)


def count_events(op_type: str, row: Row, out: Array, inputs: Sequence[Array]) -> None:
    """Fills the op-level columns of ``row`` from the op's operands and its result, of any shapes."""
    if out.size:
        _EVENTS[op_type][1](row, out, inputs)


def count_update(op_type: str, row: Row, new: Array, inputs: Sequence[Array]) -> None:
    """Fills absorbed and operands of a variable update from its old value and the delta, in ``inputs``.

    Absorbed are the elements that a non-zero delta left unchanged.
    """
    del op_type  # every kind of update may leave elements unchanged
    old, delta = inputs
    moved = _magnitude(delta) != 0
    row[INDEX["operands"]] = _count(moved, new.shape)
    unchanged = _bits(new) == _bits(old)
    row[INDEX["absorbed"]] = _count(moved & unchanged & _finite(new), new.shape) if unchanged.any() else 0
