"""What takes the public names' places where this TensorFlow lacks something private that measuring needs.

Training goes on unmeasured, with one warning, as if the names were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from tb_numstab.analysis.engine import Engine
from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.host import warn_once
from tb_numstab.instrument.options import Options


def stand_in(name: str, missing: Exception) -> Any:
    """The stand-in for a public name; warns about what is missing."""
    warn_once(
        f"this TensorFlow is not one that tb-numstab knows ({missing}), so nothing is measured: "
        "tb-numstab needs TensorFlow 2.21; see `tb-numstab doctor`. Training goes on unchanged."
    )
    return {f.__name__: f for f in (watch, log_step, NumericalHealth, HealthHook)}[name]


def watch(function: Any = None, /, **options: Any) -> Any:
    """Hands the function back."""
    Options(**options)
    return (lambda f: f) if function is None else function


def log_step(step: Any = None) -> StepHealth:
    """The health of a run that nothing is known about."""
    return StepHealth(int(step or 0), False, True, (), None, Engine().verdict())


class NumericalHealth(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Does nothing."""

    health = None

    def __init__(self, log_dir: str, *args: Any, **options: Any) -> None:
        super().__init__()
        Options(*args, **options)

    @contextmanager
    def attach(self, model: Any) -> Iterator[NumericalHealth]:
        """Does nothing."""
        yield self


class HealthHook(tf.compat.v1.train.SessionRunHook):  # type: ignore[misc]  # TensorFlow is untyped
    """Does nothing."""

    health = None

    def __init__(self, log_dir: str, *args: Any, **options: Any) -> None:
        super().__init__()
        Options(*args, **options)

    def run(self, session: Any, fetches: Any, feed_dict: Any = None) -> Any:
        """``session.run``."""
        return session.run(fetches, feed_dict)
