"""What exponents prove about an op, whatever the elements are.

E+ and E- stand for floor(log2) of an operand's largest and smallest non-zero magnitude. Every bound
holds for IEEE 754 arithmetic with round to nearest, with gradual underflow or flush to zero, elements
paired in any way. tests/analysis/test_bounds.py tries to falsify each in every format.

All arguments broadcast; NaN (not measured) proves nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.graph import Mask


def absorbs(x_min_exp: ArrayLike, y_max_exp: ArrayLike, precision: ArrayLike) -> Mask:
    """X + y == x for every element of an x without zeros.

    Half an ulp below a power of two 2**e is 2**(e - precision - 1), so |y| < 2**(E+ + 1) must not exceed
    that: one bit more than the half ulp above suggests.
    """
    return np.asarray(np.subtract(x_min_exp, y_max_exp) >= np.add(precision, 2))


def lost_bits(x_min_exp: ArrayLike, y_min_exp: ArrayLike, out_max_exp: ArrayLike) -> Floats:
    """Leading bits that every element of x + y or x - y has lost at least.

    An operand's exponent is NaN when it holds zeros; then only the other one counts.
    """
    return np.asarray(np.fmax(x_min_exp, y_min_exp) - np.asarray(out_max_exp), np.float64)


def sum_is_safe(x_max_exp: ArrayLike, y_max_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No element of x + y overflows."""
    return np.asarray(np.maximum(x_max_exp, y_max_exp) <= np.subtract(max_exp, 1))


def product_is_safe(x_max_exp: ArrayLike, y_max_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No element of x * y overflows."""
    return np.asarray(np.add(x_max_exp, y_max_exp) <= np.subtract(max_exp, 1))


def product_overflows(x_min_exp: ArrayLike, y_min_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """Every element of x * y with non-zero factors overflows."""
    return np.asarray(np.add(x_min_exp, y_min_exp) >= np.add(max_exp, 1))


def product_vanishes(x_max_exp: ArrayLike, y_max_exp: ArrayLike, min_subnormal_exp: ArrayLike) -> Mask:
    """Every element of x * y is 0: below half the smallest subnormal number."""
    return np.asarray(np.add(x_max_exp, y_max_exp) + 2 <= np.subtract(min_subnormal_exp, 1))


def quotient_is_safe(x_max_exp: ArrayLike, y_min_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No element of x / y with a non-zero denominator overflows."""
    return np.asarray(np.subtract(x_max_exp, y_min_exp) <= max_exp)


def quotient_overflows(x_min_exp: ArrayLike, y_max_exp: ArrayLike, max_exp: ArrayLike) -> Mask:
    """Every element of x / y with a non-zero numerator overflows."""
    return np.asarray(np.subtract(x_min_exp, y_max_exp) - 1 >= np.add(max_exp, 1))


def quotient_vanishes(x_max_exp: ArrayLike, y_min_exp: ArrayLike, min_subnormal_exp: ArrayLike) -> Mask:
    """Every element of x / y is 0."""
    return np.asarray(np.subtract(x_max_exp, y_min_exp) + 1 <= np.subtract(min_subnormal_exp, 1))


def dot_is_safe(x_max_exp: ArrayLike, y_max_exp: ArrayLike, length: ArrayLike, max_exp: ArrayLike) -> Mask:
    """No sum of ``length`` products of x and y overflows."""
    with np.errstate(divide="ignore"):
        room = np.ceil(np.log2(length))
    return np.asarray(np.add(x_max_exp, y_max_exp) + 1 + room <= max_exp)
