"""Keeps the exponent histograms decoded last: an op's page shows a hundred records, and so does the next op's."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.record import decode_readable

MAX_BYTES = 1 << 26
"""Kept for all sessions together: what the op pages of one or two sessions show."""


@dataclass(frozen=True)
class Histograms:
    """The histograms of one record, as in StepRecord; read-only since they are shared, ``slots`` in half the bytes."""

    slots: NDArray[np.int32]
    histogram: NDArray[np.uint8]

    def of(self, slot: int) -> NDArray[np.uint8] | None:
        """A slot's own, uint8 [HISTOGRAM_BINS]; None where it was not measured."""
        at = int(np.searchsorted(self.slots, slot))
        return self.histogram[at] if at < len(self.slots) and self.slots[at] == slot else None


class DecodedHistograms:
    """Decodes records and keeps their histograms, those used least recently for the shortest time. Thread-safe."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[bytes, Histograms] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, data: bytes) -> Histograms:
        """The histograms of the record with these bytes; raises as decode_readable does."""
        with self._lock:
            if data in self._kept:
                self._kept.move_to_end(data)
                return self._kept[data]
        record = decode_readable(data)
        # A copy, because the record's own is a view of all that was decompressed.
        decoded = Histograms(record.slots.astype(np.int32), record.histogram.copy(order="K"))
        for array in (decoded.slots, decoded.histogram):
            array.setflags(write=False)
        with self._lock:
            if data not in self._kept:
                self._kept[data] = decoded
                self._bytes += _size(data, decoded)
            while self._bytes > self._max_bytes and len(self._kept) > 1:
                self._bytes -= _size(*self._kept.popitem(last=False))
        return decoded


def _size(data: bytes, decoded: Histograms) -> int:
    return len(data) + decoded.slots.nbytes + decoded.histogram.nbytes


DECODED = DecodedHistograms()
"""The process's own."""
