"""Manners of a guest in somebody's training process: step aside, complain once. Needs no TensorFlow."""

from __future__ import annotations

import logging
import re

log = logging.getLogger("tb_numstab")

_warned: set[object] = set()


def warn_once(message: str, topic: object = None) -> None:
    """One warning per topic and process, which is the message if none is given: monitoring does not nag."""
    topic = topic or message
    if topic not in _warned:
        _warned.add(topic)
        log.warning("tb_numstab: %s", message)


def step_aside(what: str, error: Exception) -> None:
    """Reports a failure of monitoring itself; the traceback goes to the debug level."""
    log.debug("%s", what, exc_info=error)
    kind = type(error)
    warn_once(f"{what}: {kind.__name__}: {reason(error)}. Training goes on unchanged.", topic=(what, kind))


def reason(error: Exception) -> str:
    """What an error says in its first line, without the op that TensorFlow writes around it."""
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", str(error).partition("\n")[0])
