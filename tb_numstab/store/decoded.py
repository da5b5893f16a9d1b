"""Keeps the records decoded last: a page looks at the same hundred records for every op it shows."""

from __future__ import annotations

import threading
from collections import OrderedDict

from tb_numstab.schema.record import StepRecord, decode_readable

MAX_BYTES = 1 << 27
"""Arrays kept, for all sessions together."""


class DecodedRecords:
    """decode_readable with a memory of the least recently used kind. Thread-safe.

    The arrays are shared, and read-only for that reason.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._records: OrderedDict[bytes, StepRecord] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, data: bytes) -> StepRecord:
        """The record of these bytes; raises as decode_readable does."""
        with self._lock:
            if data in self._records:
                self._records.move_to_end(data)
                return self._records[data]
        record = decode_readable(data)
        for array in (record.slots, record.rows, record.histogram):
            array.setflags(write=False)
        with self._lock:
            if data not in self._records:
                self._records[data] = record
                self._bytes += _size(record)
            while self._bytes > self._max_bytes and len(self._records) > 1:
                self._bytes -= _size(self._records.popitem(last=False)[1])
        return record


def _size(record: StepRecord) -> int:
    return record.slots.nbytes + record.rows.nbytes + record.histogram.nbytes


DECODED = DecodedRecords()
"""The process's own."""
