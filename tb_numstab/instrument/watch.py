"""``watch``: marks the callable that is one training step."""

from __future__ import annotations

import functools
import numbers
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import tensorflow as tf

from tb_numstab.instrument.eager import EagerRecorder
from tb_numstab.instrument.scope import Measurement, StepScope, current_scope

F = TypeVar("F", bound=Callable[..., Any])

_thread = threading.local()


class Watcher:
    """Decides which steps are measured and keeps what belongs to all of them.

    Args:
      every: measure every N-th step, the first one included; at least 1.

    Raises:
      ValueError: ``every`` is not a whole number of at least 1.
    """

    def __init__(self, every: int) -> None:
        if not isinstance(every, numbers.Integral) or every < 1:
            raise ValueError(f"every must be a whole number of steps, at least 1; got {every!r}")
        self.every: int = int(every)
        self._steps: int = 0
        self._eager: EagerRecorder = EagerRecorder()

    def step(self) -> StepScope:
        """The scope of the next step."""
        survey: bool = self._steps % self.every == 0
        self._steps += 1
        return StepScope(survey, self._eager)


class Watched:
    """A callable that measures itself; everything else about it is the original's."""

    def __init__(self, function: Callable[..., Any], watcher: Watcher) -> None:
        self._function = function
        self._watcher = watcher
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(self._function, *args, **kwargs)

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        return functools.partial(self._run, self._function.__get__(instance, owner))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_function"], name)

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if current_scope() is not None or not tf.executing_eagerly():
            return function(*args, **kwargs)  # part of a watched step, or of somebody's trace
        scope = self._watcher.step()
        with scope:
            result = function(*args, **kwargs)
        hand_over(scope.measurements)
        return result


@overload
def watch(function: F, /) -> F: ...
@overload
def watch(*, every: int = 50) -> Callable[[F], F]: ...
def watch(function: Any = None, /, *, every: int = 50) -> Any:
    """Measures a training step: forward, gradient and optimizer ops, in loops and nested functions.

    The step itself runs untouched, bit for bit; the measured run is a shadow of it on copies of its
    variables. ``log_step`` then writes what was measured.

    Args:
      function: a tf.function, or any callable that calls tf.functions or runs ops eagerly. One call is
        one training step.
      every: measure every N-th call, the first one included.

    Returns:
      A callable with the same signature and attributes; or, without ``function``, a decorator.

    Raises:
      ValueError: ``every`` is not a whole number of at least 1.
      TypeError: ``function`` is not callable.
    """
    if function is None:
        return functools.partial(_watch, every=every)
    return _watch(function, every)


def _watch(function: Any, every: int) -> Watched:
    if not callable(function):
        raise TypeError(f"watch takes the callable that runs one training step; got {function!r}")
    return Watched(function, Watcher(every))


def hand_over(measurements: list[Measurement]) -> None:
    """Leaves measurements for this thread's next log_step; a survey that is never logged is dropped."""
    if measurements:
        _thread.measurements = [*getattr(_thread, "measurements", []), *measurements]


def take_measurements() -> list[Measurement]:
    """What the watched calls of this thread measured since the last time."""
    measurements: list[Measurement] = getattr(_thread, "measurements", [])
    _thread.measurements = []
    return measurements
