"""Manners of a guest in somebody's training process: step aside, complain once. Needs no TensorFlow."""

from __future__ import annotations

import logging

log = logging.getLogger("tb_numstab")

_warned: set[str] = set()


def warn_once(message: str) -> None:
    """One warning per distinct message and process: monitoring steps aside, it does not nag."""
    if message not in _warned:
        _warned.add(message)
        log.warning("tb_numstab: %s", message)


def step_aside(what: str, error: Exception) -> None:
    """Reports a failure of monitoring itself; the traceback goes to the debug level."""
    log.debug("%s", what, exc_info=error)
    warn_once(f"{what}: {type(error).__name__}: {error}. Training goes on unchanged.")
