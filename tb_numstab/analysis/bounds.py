"""What exponents prove about an op, whatever its elements are.

E+ and E- stand for floor(log2) of an operand's largest and smallest non-zero magnitude; p, Emax and
Esub for the format's precision and for the exponents of its largest and its smallest subnormal
number. Every bound holds for IEEE 754 arithmetic rounding to nearest, with gradual underflow or flush
to zero, however the elements pair up; tests/analysis/test_bounds.py tries to falsify each in every
format.

All arguments broadcast; NaN (not measured) proves nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.graph import Mask


def absorbs(x_min_exp: ArrayLike, y_max_exp: ArrayLike, precision: ArrayLike) -> Mask:
    """No element of an x without zeros changes in x + y: ``E-(x) - E+(y) >= p + 2``.

    Half an ulp below a power of two 2**e is 2**(e - p - 1), which |y| < 2**(E+(y) + 1) must not exceed:
    one bit more than the half ulp above it suggests.
    """
    return np.asarray(np.subtract(x_min_exp, y_max_exp) >= np.add(precision, 2))


def lost_bits(x_min_exp: ArrayLike, y_min_exp: ArrayLike, out_max_exp: ArrayLike) -> Floats:
    """Every element of x + y or x - y has lost this many leading bits: ``max(E-(x), E-(y)) - E+(out)``.

    An operand's exponent is NaN when it holds zeros; then only the other one counts.
    """
    return np.asarray(np.fmax(x_min_exp, y_min_exp) - np.asarray(out_max_exp), np.float64)


def sum_is_safe(x_max_exp: ArrayLike, y_max_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No element of x + y overflows: ``max(E+(x), E+(y)) <= Emax - 1``."""
    return np.asarray(np.maximum(x_max_exp, y_max_exp) <= np.subtract(max_exp, 1))


def product_is_safe(x_max_exp: ArrayLike, y_max_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No element of x * y overflows: ``E+(x) + E+(y) <= Emax - 1``."""
    return np.asarray(np.add(x_max_exp, y_max_exp) <= np.subtract(max_exp, 1))


def product_overflows(x_min_exp: ArrayLike, y_min_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """Every element of x * y with non-zero factors overflows: ``E-(x) + E-(y) >= Emax + 1``."""
    return np.asarray(np.add(x_min_exp, y_min_exp) >= np.add(max_exp, 1))


def product_vanishes(x_max_exp: ArrayLike, y_max_exp: ArrayLike, min_subnormal_exp: ArrayLike) -> Mask:
    """Every element of x * y is 0, below half the smallest number: ``E+(x) + E+(y) + 2 <= Esub - 1``."""
    return np.asarray(np.add(x_max_exp, y_max_exp) + 2 <= np.subtract(min_subnormal_exp, 1))


def quotient_is_safe(x_max_exp: ArrayLike, y_min_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No element of x / y with a non-zero denominator overflows: ``E+(x) - E-(y) <= Emax``."""
    return np.asarray(np.subtract(x_max_exp, y_min_exp) <= max_exp)


def quotient_overflows(x_min_exp: ArrayLike, y_max_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """Every element of x / y with a non-zero numerator overflows: ``E-(x) - E+(y) - 1 >= Emax + 1``."""
    return np.asarray(np.subtract(x_min_exp, y_max_exp) - 1 >= np.add(max_exp, 1))


def quotient_vanishes(x_max_exp: ArrayLike, y_min_exp: ArrayLike, min_subnormal_exp: ArrayLike) -> Mask:
    """Every element of x / y is 0, below half the smallest number: ``E+(x) - E-(y) + 1 <= Esub - 1``."""
    return np.asarray(np.subtract(x_max_exp, y_min_exp) + 1 <= np.subtract(min_subnormal_exp, 1))


def dot_is_safe(x_max_exp: ArrayLike, y_max_exp: ArrayLike, length: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No sum of K products of x and y overflows: ``E+(x) + E+(y) + 1 + ceil(log2 K) <= Emax``."""
    with np.errstate(divide="ignore"):
        room = np.ceil(np.log2(length))
    return np.asarray(np.add(x_max_exp, y_max_exp) + 1 + room <= max_exp)
