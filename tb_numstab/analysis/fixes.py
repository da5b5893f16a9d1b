"""A fix in the terms of the format it is for."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.limits import limits

_EPSILON = re.compile(r"\b1e-\d+")


def suited(fix: Fix, dtype: str) -> Fix:
    """The fix with epsilons that the format holds: 1e-12 is 0 in float16, and becomes 1e-4."""
    smallest = limits(dtype).min_normal
    least = f"1e-{math.floor(-math.log10(smallest))}"
    return replace(fix, after=_EPSILON.sub(lambda e: e[0] if float(e[0]) >= smallest else least, fix.after))
