"""The answers of a report, deflated together: a tenth of their size as JSON."""

from __future__ import annotations

import base64
import json
import zlib


class Archive:
    """JSON texts by key, and what they take up in a page.

    The texts repeat one another, so they are deflated as one stream. What it has come to is known after
    each of them: that is what a report stops growing by.

    Attributes:
      texts: the JSON texts by key.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._stream = zlib.compressobj(9)
        self._deflated = bytearray()

    @property
    def size(self) -> int:
        """Characters that ``packed`` has by now, but for the end of the stream."""
        return len(self._deflated) * 4 // 3

    def add(self, key: str, text: str) -> None:
        """Adds one JSON text under a key that is not there yet."""
        lead = "," if self.texts else "{"
        self.texts[key] = text
        self._deflated += self._stream.compress(f"{lead}{json.dumps(key)}:{text}".encode())
        self._deflated += self._stream.flush(zlib.Z_SYNC_FLUSH)

    def packed(self) -> str:
        """One JSON object of all the texts, deflated (RFC 1950), in base64: safe inside any element."""
        end = self._stream.copy()
        tail = end.compress(b"}" if self.texts else b"{}") + end.flush()
        return base64.b64encode(self._deflated + tail).decode("ascii")
