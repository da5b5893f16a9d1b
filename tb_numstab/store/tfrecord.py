"""The record framing of event files (TFRecord), read without TensorFlow.

A record is a little-endian uint64 length, the masked CRC-32C of those 8 bytes, the data, and the
masked CRC-32C of the data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
MAX_RECORD_BYTES = 1 << 31
"""The largest a protobuf message, and so an event, can be."""


class FramingError(ValueError):
    """A damaged record header: where the next record starts is unknown."""


class Readable(Protocol):
    """What records are read from."""

    def read(self, size: int, /) -> bytes: ...


def read_records(file: Readable) -> Iterator[tuple[bytes, int]]:
    """Yields (data, stored checksum) of each complete record.

    A truncated last record ends the file silently: that is how the file of a running or killed
    training ends. Checksums of data are for the caller to compare (see ``intact``): at about
    10 MB/s in Python it pays to check only what is used.

    Raises:
      FramingError: a header's checksum is wrong.
    """
    position = 0
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        size, checksum = _HEADER.unpack(header)
        if masked_crc32c(header[:8]) != checksum or size > MAX_RECORD_BYTES:
            raise FramingError(f"damaged at byte {position}")
        data, footer = file.read(size), file.read(_FOOTER.size)
        if len(footer) < _FOOTER.size:
            return
        yield data, _FOOTER.unpack(footer)[0]
        position += _HEADER.size + size + _FOOTER.size


def intact(data: bytes, checksum: int) -> bool:
    """Whether a record's data is what was written."""
    return bool(masked_crc32c(data) == checksum)
