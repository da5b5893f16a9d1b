"""One watched step in one thread: what happens at the calls of tf.functions inside it."""

from __future__ import annotations

import functools
import logging
import random
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tensorflow.python.eager import context as tf_context
from tensorflow.python.eager.polymorphic_function import polymorphic_function
from tensorflow.python.framework import errors

from tb_numstab.instrument.collector import Rows
from tb_numstab.instrument.eager import EagerRecorder
from tb_numstab.instrument.iterators import tee_iterators
from tb_numstab.instrument.recorder import current_recorder
from tb_numstab.instrument.twin import CannotShadow, GraphRecorder, Twin, call_inline
from tb_numstab.schema.ops import OpSite

log = logging.getLogger("tb_numstab")

_thread = threading.local()
_twins: weakref.WeakKeyDictionary[Any, Twin] = weakref.WeakKeyDictionary()
_warned: set[str] = set()
_call_function = polymorphic_function.Function.__call__


@dataclass(frozen=True)
class Measurement:
    """What one part of a step measured: an op table and its rows.

    ``sites`` is the same list object at every step of the same trace; eager tables grow.
    """

    sites: list[OpSite]
    rows: Rows
    notes: tuple[str, ...] = ()


def warn_once(message: str) -> None:
    """One warning per distinct message and process: monitoring steps aside, it does not nag."""
    if message not in _warned:
        _warned.add(message)
        log.warning("tb_numstab: %s", message)


def step_aside(what: str, error: Exception) -> None:
    """Reports a failure of monitoring itself; the traceback goes to the debug level."""
    log.debug("%s", what, exc_info=error)
    warn_once(f"{what}: {type(error).__name__}: {error}. Training goes on unchanged.")


@dataclass
class StepScope:
    """A watched step on its way.

    Attributes:
      survey: measure this step.
      eager: the recorder of the watcher's eager ops.
      measurements: what has been measured so far.
    """

    survey: bool
    eager: EagerRecorder
    measurements: list[Measurement] = field(default_factory=list)
    _inside: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> StepScope:
        _install()
        self._stack.callback(setattr, _thread, "scope", getattr(_thread, "scope", None))
        _thread.scope = self
        if self.survey:
            self._stack.enter_context(self.eager.step())
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
        if not self.survey:
            return
        try:
            rows = self.eager.rows()
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            step_aside("eager ops are not measured", error)
            return
        if rows is not None:
            self.measurements.append(Measurement(self.eager.sites, rows))

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a tf.function for the step; on a survey step its twin is measured first."""
        if self._inside or not self.survey:
            return _call_function(function, *args, **kwargs)
        self._inside = True
        try:
            with self.eager.paused():
                args, kwargs = self._measure(function, args, kwargs)
                return _call_function(function, *args, **kwargs)
        finally:
            self._inside = False

    def _measure(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Measures the call on a shadow; returns the arguments for the real one."""
        name = getattr(function, "_name", "function")
        real = (args, kwargs)
        try:
            with _host_randomness_kept():
                if function._variable_creation_config is None:
                    function.get_concrete_function(*args, **kwargs)  # creates its variables, as its first call would
                twin = _twins.get(function) or _twins.setdefault(function, Twin(function))
                trace = twin.trace(args, kwargs)
                shadow, real = tee_iterators(args, kwargs)
                rows = twin.run(trace, *shadow)
            self.measurements.append(Measurement(trace.sites, rows, tuple(sorted(trace.recorder.notes))))
        except CannotShadow as reason:
            warn_once(f"{name} is not measured: {reason}. Training goes on unchanged.")
        except (errors.OutOfRangeError, StopIteration):
            pass  # the data ended: the real call says so
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            step_aside(f"{name} is not measured", error)
        return real


@contextmanager
def _host_randomness_kept() -> Iterator[None]:
    """Python code traced or run for the measurement must not shift the training's random numbers."""
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


def current_scope() -> StepScope | None:
    """The watched step that this thread is in."""
    return getattr(_thread, "scope", None)


def _install() -> None:
    """Puts the one hook in place: every call of a tf.function comes by here."""
    if polymorphic_function.Function.__call__ is not _call_function:
        return

    @functools.wraps(_call_function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if tf_context.executing_eagerly():
            scope = current_scope()
            if scope is not None:
                return scope.call(self, args, kwargs)
        elif isinstance(current_recorder(), GraphRecorder):
            return call_inline(self, args, kwargs)
        return _call_function(self, *args, **kwargs)

    polymorphic_function.Function.__call__ = call
