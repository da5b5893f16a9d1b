"""A fix in the terms of the format it is for."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.limits import limits

_EPSILON = re.compile(r"(?P<one>\b1(?:\.0)? - )?\b1e-\d+")
_MASK = re.compile(r"-\d+e\d+\b")


def suited(fix: Fix, dtype: str) -> Fix:
    """The fix in numbers that the format holds.

    In float16 1e-12 is 0 and becomes 1e-4, 1 - 1e-6 is 1 and becomes 1 - 1e-3, and -1e9 is -Inf and becomes -6e4.
    """
    f = limits(dtype)

    def epsilon(found: re.Match[str]) -> str:
        one = found["one"] or ""
        smallest = 2.0**-f.precision if one else f.min_normal
        value = found[0].removeprefix(one)
        return one + (value if float(value) >= smallest else f"1e-{math.floor(-math.log10(smallest))}")

    def mask(found: re.Match[str]) -> str:
        return found[0] if float(found[0]) >= -f.max_value else f"-{math.floor(f.max_value / 1e4)}e4"

    return replace(fix, after=_MASK.sub(mask, _EPSILON.sub(epsilon, fix.after)))
