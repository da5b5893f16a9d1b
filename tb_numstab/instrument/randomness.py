"""Random numbers that belong to the training."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tensorflow.python.eager import context as tf_context


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
