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
    alone = _bits(b) ^ _bits(b).dtype.type(LAYOUTS[b.dtype.name].sign) if subtract else _bits(b)
    magnitudes = _magnitude(a), _magnitude(b)
    both = (magnitudes[0] != 0) & (magnitudes[1] != 0)
    unchanged = (_bits(out) == _bits(a)) | (_bits(out) == alone)
    row[INDEX["operands"]] = _count(both, out.shape)
    row[INDEX["absorbed"]] = _count(unchanged & both & _finite(out), out.shape) if unchanged.any() else 0
    row[INDEX["cancelled"]] = _cancelled_bits(_magnitude(out), *magnitudes, LAYOUTS[out.dtype.name])


def _difference(row: Row, out: Array, inputs: Sequence[Array]) -> None:
    _sum(row, out, inputs, subtract=True)


def _cancelled_bits(out: Bits, a: Bits, b: Bits, layout: Layout) -> float:
    """max(max(E(a), E(b)) - E(out)) over elements with a non-zero result; at least 0.

    An exactly zero result is left out: x - x is exact. Large sums are sampled at a fixed stride.
    """
    stride = max(1, out.size // CANCEL_SAMPLE)
    if stride > 1:
        out, a, b = (np.broadcast_to(x, out.shape).reshape(-1)[::stride] if x.size > 1 else x for x in (out, a, b))
    lost = np.maximum(_exponent(a, layout), _exponent(b, layout)) - _exponent(out, layout)
    return float(max(0, np.where((out == 0) | (out >= layout.nonfinite), 0, lost).max()))


def _exponent(magnitude: Bits, layout: Layout) -> NDArray[np.int64]:
    """floor(log2) of finite magnitudes given as bits; zero counts as the smallest subnormal."""
    biased = (magnitude >> (layout.fmt.precision - 1)).astype(np.int64)
    if biased.all():
        return biased + (layout.fmt.min_exp - 1)
    subnormal = layout.fmt.min_subnormal_exp + np.frexp(np.maximum(magnitude, 1).astype(np.float64))[1] - 1
    return np.where(biased > 0, biased + (layout.fmt.min_exp - 1), subnormal)


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
