"""``watch``: marks the callable that is one training step."""

from __future__ import annotations

import functools
import numbers
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import tensorflow as tf

from tb_numstab.instrument.eager import EagerRecorder
from tb_numstab.instrument.guard import Guard
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.scope import FinalScope, StepScope, SurveyScope, current_scope

F = TypeVar("F", bound=Callable[..., Any])

MAX_UNLOGGED = 64
"""Watched calls that may make up one logged step; earlier ones are dropped."""

_thread = threading.local()


class Watcher:
    """Decides which steps are measured and keeps what belongs to all of them.

    Args:
      every: measure every N-th step, the first one included; at least 1.
      replay: run an ordinary step again, measured, when NaN or Inf comes out of it.

    Raises:
      ValueError: ``every`` is not a whole number of at least 1.
    """

    def __init__(self, every: int, replay: bool = True) -> None:
        if not isinstance(every, numbers.Integral) or every < 1:
            raise ValueError(f"every must be a whole number of steps, at least 1; got {every!r}")
        self.every: int = int(every)
        self._steps: int = 0
        self._eager: EagerRecorder = EagerRecorder()
        self._guard: Guard | None = Guard(self._eager) if replay and every > 1 else None

    def step(self) -> StepScope:
        """The scope of the next step."""
        survey: bool = self._steps % self.every == 0
        self._steps += 1
        return (SurveyScope if survey else StepScope)(self._eager, self._guard)

    def finish(self) -> None:
        """Training is over: what is not settled yet goes to the next log_step."""
        with FinalScope(self._eager, self._guard) as scope:
            hand_over(scope)


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
        hand_over(scope)
        return result


@overload
def watch(function: F, /) -> F: ...
@overload
def watch(*, every: int = 50, replay: bool = True) -> Callable[[F], F]: ...
def watch(function: Any = None, /, *, every: int = 50, replay: bool = True) -> Any:
    """Measures a training step: forward, gradient and optimizer ops, in loops and nested functions.

    The step itself runs untouched, bit for bit; the measured run is a shadow of it on copies of its
    variables. ``log_step`` then writes what was measured.

    Args:
      function: a tf.function, or any callable that calls tf.functions or runs ops eagerly. One call is
        one training step.
      every: measure every N-th call, the first one included.
      replay: on the calls between, check that nothing non-finite comes out; if it does, run that call
        again, measured, from the state before it. Costs one copy of the step's variables and the
        inputs of up to ten steps in memory.

    Returns:
      A callable with the same signature and attributes; or, without ``function``, a decorator.

    Raises:
      ValueError: ``every`` is not a whole number of at least 1.
      TypeError: ``function`` is not callable.
    """
    if function is None:
        return functools.partial(_watch, every=every, replay=replay)
    return _watch(function, every, replay)


def _watch(function: Any, every: int, replay: bool) -> Watched:
    if not callable(function):
        raise TypeError(f"watch takes the callable that runs one training step; got {function!r}")
    return Watched(function, Watcher(every, replay))


def hand_over(scope: StepScope) -> None:
    """Leaves a finished step for this thread's next log_step; a step that is never logged is dropped."""
    finished: list[StepScope] = getattr(_thread, "finished", [])
    _thread.finished = [*finished[-MAX_UNLOGGED:], scope]


def take_measurements(step: int) -> list[tuple[int, list[Measurement]]]:
    """What the watched calls of this thread measured since the last time, by step.

    The sentinel's answer for a step that ran on an accelerator is read one log_step later, so that the
    host never waits for the device.
    """
    waiting: list[tuple[int, StepScope]] = getattr(_thread, "waiting", [])
    finished: list[StepScope] = getattr(_thread, "finished", [])
    _thread.finished = []
    for scope in finished:
        scope.number(step)
    _thread.waiting = [(step, s) for s in finished if s.verdict is not None and not s.verdict.on_host()]
    steps: dict[int, list[Measurement]] = {}
    for number, scope in [*waiting, *((step, s) for s in finished)]:
        if (number, scope) not in _thread.waiting:
            scope.resolve()
            for measurement in scope.measurements:
                steps.setdefault(number if measurement.step is None else measurement.step, []).append(measurement)
    return sorted(steps.items())
