"""The record framing of event files (TFRecord), read without TensorFlow.

A record is a little-endian uint64 length, the masked CRC-32C of those 8 bytes, the data, and the
masked CRC-32C of the data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from tb_numstab.store import crc32c

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
MAX_RECORD_BYTES = 1 << 31
"""The largest a protobuf message, and so an event, can be."""


class FramingError(ValueError):
    """A damaged record header: where the next record starts is unknown."""


MAX_EVENT_BYTES = 1 << 28
"""Larger ones are passed over unread: TensorBoard's data server could not hand them out, so none is ours."""

SEARCHED = 1 << 20
"""Bytes looked through at once for the next record."""

MAX_GAP_BYTES = 1 << 26
"""How far the next record is looked for: a torn one is far smaller."""


class Readable(Protocol):
    """What records are read from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class StoredRecord:
    """One record: its data, the checksum stored with it, and the position in the file after it."""

    data: bytes
    checksum: int
    end: int

    def is_intact(self) -> bool:
        """Whether the data is what was written.

        Not checked on reading: it pays to check only what is used.
        """
        return crc32c.masked_crc32c(self.data) == self.checksum


def read_records(file: Readable, position: int = 0) -> Iterator[StoredRecord]:
    """Yields each complete record.

    A truncated last record ends the file silently: that is how the file of a running or killed
    training ends.

    Args:
      file: placed at the start of a record.
      position: that place.

    Raises:
      FramingError: a header's checksum is wrong.
    """
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        size, checksum = _HEADER.unpack(header)
        if masked_crc32c(header[:8]) != checksum or size > MAX_RECORD_BYTES:
            raise FramingError(f"damaged at byte {position}")
        data = file.read(size) if size <= MAX_EVENT_BYTES else _passed_over(file, size)
        footer = file.read(_FOOTER.size)
        if len(footer) < _FOOTER.size:
            return
        position += _HEADER.size + size + _FOOTER.size
        yield StoredRecord(data, _FOOTER.unpack(footer)[0], position)


def _passed_over(file: Readable, size: int) -> bytes:
    """Nothing, in place of that many bytes."""
    while size > 0 and (part := file.read(min(size, SEARCHED))):
        size -= len(part)
    return b""


def find_record(file: Readable, position: int) -> int | None:
    """The first position at which a record can begin; None if there is none within MAX_GAP_BYTES.

    Args:
      file: placed at ``position``, behind damage.
      position: where to look first.
    """
    rest, end = b"", position + MAX_GAP_BYTES
    while position < end and (chunk := file.read(SEARCHED)):
        data = rest + chunk
        for found in crc32c.header_positions(data):
            if _HEADER.unpack_from(data, found)[0] <= MAX_RECORD_BYTES:
                return position + int(found)
        rest = data[1 - _HEADER.size :]
        position += len(data) - len(rest)
    return None
