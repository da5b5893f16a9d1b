import base64
import json
from enum import Enum

import numpy as np
import pytest

from tb_numstab.views.json_values import packed, plain, whole


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (np.float32("inf"), "Infinity"),
        (-np.inf, "-Infinity"),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (Colour.RED, "red"),
        (None, None),
        ({"a": (np.float64(1.5), [np.nan])}, {"a": [1.5, ["NaN"]]}),
        (np.array([[1.0, np.inf]]), [[1.0, "Infinity"]]),
    ],
)
def test_plain_values_survive_strict_json(value: object, expected: object) -> None:
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected


def test_whole_tells_absent_from_zero() -> None:
    assert whole(0.0) == 0
    assert whole(float("nan")) is None


def test_packed_is_in_row_order_whatever_the_memory_layout() -> None:
    cells = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert base64.b64decode(packed(cells)) == bytes(range(6))
    assert base64.b64decode(packed(cells.T)) == bytes([0, 3, 1, 4, 2, 5])
