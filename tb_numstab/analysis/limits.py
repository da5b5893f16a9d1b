"""What a format can hold, as the rules need it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from tb_numstab.schema.formats import FORMATS, FloatFormat


@dataclass(frozen=True)
class Limits:
    """Derived limits of one format.

    Attributes:
      fmt: the format.
      exp_overflow: exp(x) is infinite above this x.
      hyperbolic_overflow: sinh(x) and cosh(x) are infinite beyond this |x|: they are half of exp(|x|).
      exp_underflow: exp(x) is below the smallest normal number below this x; TensorFlow's CPU kernels
        flush such results to zero.
    """

    fmt: FloatFormat
    exp_overflow: float
    hyperbolic_overflow: float
    exp_underflow: float

    @property
    def name(self) -> str:
        """TensorFlow's dtype name."""
        return self.fmt.name

    @property
    def max_value(self) -> float:
        """The largest finite number."""
        return self.fmt.max_value

    @property
    def precision(self) -> int:
        """Significand bits, the hidden one included."""
        return self.fmt.precision

    @property
    def min_normal(self) -> float:
        """The smallest normal number."""
        return 2.0**self.fmt.min_exp

    @property
    def min_subnormal(self) -> float:
        """The smallest number above zero."""
        return 2.0**self.fmt.min_subnormal_exp


@cache
def limits(dtype: str) -> Limits:
    """The limits of a format by TensorFlow's name; float32's for a format tb-numstab does not know."""
    fmt = FORMATS.get(dtype, FORMATS["float32"])
    exp_overflow = math.log(fmt.max_value)
    return Limits(fmt, exp_overflow, exp_overflow + math.log(2), fmt.min_exp * math.log(2))
