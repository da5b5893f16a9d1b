"""One step's table of counters <-> compressed bytes.

The table is stored column by column, each column's bytes regrouped by significance, all under one zlib
stream: counters that are zero nearly everywhere then cost nearly nothing. Two columns are rounded,
outward, so that [min, max] always encloses the data.
"""

from __future__ import annotations

import zlib
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.columns import COLUMNS, INDEX, WIDTH, Row
from tb_numstab.schema.formats import HISTOGRAM_BINS

MAX_SLOTS = 1 << 20
"""Slots a record or op table may claim; more is taken for damage (the largest real graphs: 10**6)."""

KEPT_BITS = 16
"""Significand bits kept of min and max: error below 2**-15, a third of the bytes."""

LEVEL = 3
"""Of zlib. From 4 on, 8 % fewer bytes take twice as long to write and eight times as long to read: long runs of equal
bytes are then stored as copies of themselves, one byte further on."""

Slots = NDArray[np.int64]
Histogram = NDArray[np.uint8]


class RecordError(ValueError):
    """Stored bytes that are no tb-numstab record: truncated, damaged or foreign."""


def _dtype(unit: str) -> np.dtype[np.generic]:
    if unit in ("exponent", "bits"):
        return np.dtype("<i2")
    return np.dtype("<f8") if unit == "value" else np.dtype("<i8")


_DTYPES = tuple(_dtype(c.unit) for c in COLUMNS)
_RUNS = tuple((dtype, len([*run])) for dtype, run in groupby(_DTYPES))
"""Columns on end that are stored alike, and how many: they are read in one go."""
_SLOT = np.dtype("<u4")
BYTES_PER_SLOT = _SLOT.itemsize + sum(d.itemsize for d in _DTYPES) + HISTOGRAM_BINS
"""Of an unpacked table."""


def pack(slots: Slots, rows: Row, histogram: Histogram) -> bytes:
    """The bytes of a table; see StepRecord for its parts."""
    parts = [_planes(np.diff(slots, prepend=0).astype(_SLOT))]
    for column, dtype in zip(COLUMNS, _DTYPES, strict=True):
        values = rows[:, INDEX[column.name]]
        if dtype.kind == "f":
            stored = _rounded(values, column.name)
        else:
            stored = np.where(np.isnan(values), np.iinfo(dtype).min, values)  # type: ignore[type-var]
        parts.append(_planes(stored.astype(dtype)))
    parts.append(np.ascontiguousarray(histogram.T).tobytes())
    return zlib.compress(b"".join(parts), LEVEL)


def unpack(packed: bytes, count: int) -> tuple[Slots, Row, Histogram]:
    """The inverse of pack for a table of ``count`` slots.

    Raises:
      RecordError: the bytes are damaged; memory stays bounded by ``count``.
    """
    raw = inflate(packed, count * BYTES_PER_SLOT, exact=True)
    slots, offset = _slots(raw, count), count * _SLOT.itemsize
    columns = np.empty((WIDTH, count))
    first = 0
    for dtype, length in _RUNS:
        values = _from_planes(raw, offset, (length, count), dtype)
        columns[first : first + length] = values
        if dtype.kind == "i":
            columns[first : first + length][values == np.iinfo(dtype).min] = np.nan  # type: ignore[type-var]
        first, offset = first + length, offset + values.nbytes
    histogram = np.frombuffer(raw, np.uint8, offset=offset).reshape(HISTOGRAM_BINS, count).T
    return slots, columns.T, histogram


def unpack_slots(packed: bytes, count: int) -> Slots:
    """Only the slots of a table, in a twentieth of the time; raises as unpack, but looks no further."""
    try:
        start = zlib.decompressobj().decompress(packed, count * _SLOT.itemsize or 1)
    except zlib.error as error:
        raise RecordError(f"damaged record: {error}") from error
    if len(start) < count * _SLOT.itemsize:
        raise RecordError("damaged record: its length is not the one it claims")
    return _slots(start, count)


def inflate(data: bytes, size: int, exact: bool) -> bytes:
    """What zlib compressed.

    Raises:
      RecordError: the data are damaged, or more than ``size`` bytes; with ``exact``, or fewer.
    """
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data, size or 1)
    except zlib.error as error:
        raise RecordError(f"damaged record: {error}") from error
    if not stream.eof or (exact and len(raw) != size):
        raise RecordError("damaged record: its length is not the one it claims")
    return raw


def _slots(raw: bytes, count: int) -> Slots:
    slots = np.cumsum(_from_planes(raw, 0, (1, count), _SLOT)[0], dtype=np.int64)
    if count and (slots[-1] >= MAX_SLOTS or (np.diff(slots) <= 0).any()):
        raise RecordError("step record's slots are not ascending")
    return slots


def _rounded(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Values with KEPT_BITS significant bits: min rounded down, max up, others to nearest."""
    significand, exponent = np.frexp(values)
    scaled = significand * 2.0**KEPT_BITS
    kept = np.floor(scaled) if name == "min" else np.ceil(scaled) if name == "max" else np.rint(scaled)
    with np.errstate(over="ignore"):
        rounded = np.ldexp(kept, exponent - KEPT_BITS)
    # Rounding the largest float64 outward would leave the format: such values stay as they are.
    return np.where(np.isinf(rounded), values, rounded)


def _planes(values: NDArray[np.generic]) -> bytes:
    """The bytes of an array regrouped by significance, so that equal high bytes lie together."""
    return values.view(np.uint8).reshape(len(values), values.itemsize).T.tobytes()


def _from_planes(raw: bytes, offset: int, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Columns stored one after the other by ``_planes``, each a row of the result."""
    (columns, count), size = shape, dtype.itemsize
    planes = np.frombuffer(raw, np.uint8, columns * count * size, offset).reshape(columns, size, count)
    values = np.empty((columns, count, size), np.uint8)
    for plane in range(size):  # faster than a transposed copy
        values[:, :, plane] = planes[:, plane]
    return values.view(dtype)[:, :, 0]
