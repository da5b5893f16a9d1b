"""Names shared by the writer and every reader: plugin, tags, versions."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

PLUGIN_NAME = "numstab"
SCHEMA_VERSION = 1
"""Version of the stored messages. A reader skips, with a message, what is newer than it knows."""

NOT_REPRODUCED = (
    "the step was run again and stayed finite: "
    "what it draws, how it is compiled, or the state it started from differs in the measured run"
)
"""Note in the record of a replay: the step ended with NaN or Inf in training, but not when it was measured."""

PART_BYTES = 1 << 23
"""Records of a session after which the next ones get a tag of their own: TensorBoard's data server answers with whole
tags, at most 256 MiB, and a tag that has ended is not read again while the training goes on."""

_TAG = re.compile(
    r"numstab/(?P<session>[A-Za-z0-9_.-]{1,80})/"
    r"(?:steps(?:/(?P<part>[1-9][0-9]{0,5}))?|ops/(?P<chunk>0|[1-9][0-9]{0,5}))"
)


class Tag(NamedTuple):
    """What a tag holds.

    Attributes:
      session: the session id.
      chunk: which chunk of the op table; None for step records.
      part: which part of the step records.
    """

    session: str
    chunk: int | None = None
    part: int = 0


def new_session() -> str:
    """A session id no other process shares; sorts by start time (UTC, to the microsecond: restarts may be quick)."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f") + "-" + secrets.token_hex(4)


def steps_tag(session: str, part: int = 0) -> str:
    """Tag of one part of a session's step records, in the order they were written."""
    return f"numstab/{session}/steps" + (f"/{part}" if part else "")


def ops_tag(session: str, chunk: int) -> str:
    """Tag of one chunk of a session's op table; each is written once."""
    return f"numstab/{session}/ops/{chunk}"


def parse_tag(tag: str) -> Tag | None:
    """What one of our tags holds; None for a foreign one."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    return Tag(match["session"], None if match["chunk"] is None else int(match["chunk"]), int(match["part"] or 0))
