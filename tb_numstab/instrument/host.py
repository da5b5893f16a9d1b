"""Manners of a guest in somebody's training process: disturb nothing, complain once."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tensorflow.python.eager import context as tf_context

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


@contextmanager
def host_randomness_kept() -> Iterator[None]:
    """Python code traced or run for a measurement must not shift the training's random numbers."""
    context = tf_context.context()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    tf_state = context._rng.getstate() if getattr(context, "_rng", None) is not None else None
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        if tf_state is not None:
            context._rng.setstate(tf_state)
