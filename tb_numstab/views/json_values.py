"""Values that every JSON parser reads back as they were."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = Any
"""What ``json.dumps`` takes; mypy has no useful recursive type for it."""


def plain(value: object) -> Json:
    """A value with numpy types, enums and non-finite floats replaced by what JSON has.

    NaN and the infinities become the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``: bare NaN
    is not JSON, and browsers refuse a whole answer that holds one.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def whole(value: float) -> int | None:
    """An integer-valued counter as int; None where it is absent (NaN)."""
    return None if math.isnan(value) else int(value)


def packed(values: NDArray[np.uint8]) -> str:
    """The bytes of an array, in C order, as base64: a tenth of the size of a JSON list."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
