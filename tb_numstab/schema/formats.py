"""The IEEE 754 parameters of every floating-point format TensorFlow computes in.

Exponents are those of the significand form 1.f * 2**e, so that ``floor(log2(|x|)) == e`` for a
normal number x. Sources: IEEE 754-2019 table 3.5 (float16, float32, float64); Google's bfloat16;
the OCP 8-bit floating point specification 1.0 (e4m3fn, e5m2).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FloatFormat:
    """One binary floating-point format.

    Attributes:
      name: TensorFlow's dtype name, for example ``"float32"``.
      bits: storage width in bits.
      precision: significand bits p, the hidden one included.
      max_exp: exponent of the largest finite number.
      min_exp: exponent of the smallest normal number.
      max_value: the largest finite number.
      has_inf: False where overflow gives NaN (e4m3fn).
    """

    name: str
    bits: int
    precision: int
    max_exp: int
    min_exp: int
    max_value: float
    has_inf: bool = True

    @property
    def min_subnormal_exp(self) -> int:
        """Exponent of the smallest subnormal number."""
        return self.min_exp - (self.precision - 1)

    @property
    def exponent_bits(self) -> int:
        """Width of the biased exponent field in bits."""
        return self.bits - self.precision

    @property
    def bin_width(self) -> int:
        """Binades per histogram bin: the power of two that fits the format in HISTOGRAM_BINS."""
        span = self.max_exp - self.min_subnormal_exp + 1
        width = 1
        while span > width * HISTOGRAM_BINS:
            width *= 2
        return width


HISTOGRAM_BINS = 72
"""Bins of an exponent histogram; bin i holds exponents from min_subnormal_exp + i * bin_width."""

FORMATS: dict[str, FloatFormat] = {
    f.name: f
    for f in (
        FloatFormat("float64", 64, 53, 1023, -1022, (2 - 2.0**-52) * 2.0**1023),
        FloatFormat("float32", 32, 24, 127, -126, (2 - 2.0**-23) * 2.0**127),
        FloatFormat("bfloat16", 16, 8, 127, -126, (2 - 2.0**-7) * 2.0**127),
        FloatFormat("float16", 16, 11, 15, -14, 65504.0),
        FloatFormat("float8_e5m2", 8, 3, 15, -14, 57344.0),
        FloatFormat("float8_e4m3fn", 8, 4, 8, -6, 448.0, has_inf=False),
    )
}
