"""Names shared by the writer and every reader: plugin, tags, versions."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

PLUGIN_NAME = "numstab"
SCHEMA_VERSION = 1
"""Version of the stored messages. A reader skips, with a message, what is newer than it knows."""

NOT_REPRODUCED = (
    "the step was run again and stayed finite: "
    "what it draws, how it is compiled, or the state it started from differs in the measured run"
)
"""Note in the record of a replay: the step ended with NaN or Inf in training, but not when it was measured."""

_TAG = re.compile(r"numstab/(?P<session>[A-Za-z0-9_.-]{1,80})/(?:(?P<steps>steps)|ops/(?P<chunk>0|[1-9][0-9]{0,5}))")


def new_session() -> str:
    """A session id no other process shares; sorts by start time (UTC, to the microsecond: restarts may be quick)."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f") + "-" + secrets.token_hex(4)


def steps_tag(session: str) -> str:
    """Tag of a session's step records."""
    return f"numstab/{session}/steps"


def ops_tag(session: str, chunk: int) -> str:
    """Tag of one chunk of a session's op table; each is written once."""
    return f"numstab/{session}/ops/{chunk}"


def parse_tag(tag: str) -> tuple[str, int | None] | None:
    """(session, chunk) of a tag, chunk None for step records; None for a foreign tag."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    return match["session"], None if match["steps"] else int(match["chunk"])
