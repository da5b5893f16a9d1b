"""``watch``: marks the callable that is one training step."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import tensorflow as tf

from tb_numstab.instrument.cluster import worker
from tb_numstab.instrument.eager import EagerRecorder
from tb_numstab.instrument.guard import Guard
from tb_numstab.instrument.host import warn_once
from tb_numstab.instrument.measurement import MeasuredStep
from tb_numstab.instrument.options import OnNonfinite, Options, SourceLines
from tb_numstab.instrument.schedule import MAX_RECORDS, make_schedule
from tb_numstab.instrument.scope import FinalScope, StepScope, SurveyScope, current_scope
from tb_numstab.instrument.seams import current_listener

F = TypeVar("F", bound=Callable[..., Any])

MAX_UNLOGGED = 64
"""Watched calls that may make up one logged step; earlier ones are dropped."""

EVERY_OF_WORKERS = 50
"""What "auto" means where several workers train one model."""

_thread = threading.local()


class Watcher:
    """Decides which steps are measured and keeps what belongs to all of them.

    Args:
      options: see ``watch``.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        # Workers must measure the same steps, and "auto" goes by each one's own clock.
        every = EVERY_OF_WORKERS if options.every == "auto" and worker() else options.every
        self._schedule = make_schedule(every, options.max_records)
        self._eager = EagerRecorder()
        self._guard = Guard(self._eager) if options.replay and options.every != 1 else None

    def step(self) -> StepScope:
        """The scope of the next step."""
        alert = self._guard is not None and self._guard.take_alert()
        kind = SurveyScope if self._schedule.due() or alert else StepScope
        return kind(self, self._eager, self._guard, self._options)

    def finish(self) -> StepScope:
        """Training is over: judges what the last steps left open."""
        with FinalScope(self, self._eager, self._guard, self._options) as scope:
            return scope


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
        if current_scope() is not None or current_listener() is not None:
            return function(*args, **kwargs)  # part of a watched step
        if not tf.executing_eagerly():
            name = getattr(self, "__name__", "a watched callable")
            warn_once(
                f"{name} is not measured: it is called inside a tf.function; put watch around that one, or in "
                "Keras use tb_numstab.NumericalHealth. Training goes on unchanged."
            )
            return function(*args, **kwargs)
        scope = self._watcher.step()
        with scope:
            result = function(*args, **kwargs)
        hand_over(scope)
        return result


@overload
def watch(function: F, /) -> F: ...
@overload
def watch(
    *,
    every: int | str = "auto",
    replay: bool = True,
    on_nonfinite: OnNonfinite = "warn",
    max_records: int = MAX_RECORDS,
    source: SourceLines = "on",
) -> Callable[[F], F]: ...
def watch(
    function: Any = None,
    /,
    *,
    every: int | str = "auto",
    replay: bool = True,
    on_nonfinite: OnNonfinite = "warn",
    max_records: int = MAX_RECORDS,
    source: SourceLines = "on",
) -> Any:
    """Measures a training step: forward, gradient and optimizer ops, in loops and nested functions.

    The step itself runs untouched, bit for bit; the measured run is a shadow of it on copies of its
    variables. ``log_step`` then writes what was measured.

    Args:
      function: a tf.function, or any callable that calls tf.functions or runs ops eagerly. One call is
        one training step.
      every: measure every N-th call, the first one included; or ``"auto"``: calls 0, 1, 2, 5, 10, ..., then
        as often as 2 % of the training time allows (schedule.COST_SHARE).
      replay: on the calls between, check that nothing non-finite comes out; if it does, run that call
        again, measured, from the state before it. Costs one copy of the step's variables and the inputs of
        up to ten steps in memory, or of fewer if they take 256 MB; where ops run eagerly, up to 256 MB of
        their results.
      on_nonfinite: what log_step does once the first harmful NaN or Inf is written and flushed: "warn"
        logs a line, as for any new finding; "raise" raises NonFiniteError; "ignore" does nothing.
      max_records: with ``"auto"``, how many calls are measured at most; the distance grows in time. Bad calls
        that ``replay`` measures come on top.
      source: "off" keeps the text of source lines and the folders of files out of the log; file names, line
        numbers and function names stay.

    Returns:
      A callable with the same signature and attributes; or, without ``function``, a decorator.

    Raises:
      ValueError: an option has a value that is not allowed.
      TypeError: ``function`` is not callable.
    """
    options = Options(every, replay, on_nonfinite, max_records, source)
    return functools.partial(_watch, options=options) if function is None else _watch(function, options)


def _watch(function: Any, options: Options) -> Watched:
    if not callable(function):
        raise TypeError(f"watch takes the callable that runs one training step; got {function!r}")
    return Watched(function, Watcher(options))


def hand_over(scope: StepScope) -> None:
    """Leaves a finished step for this thread's next log_step; a step that is never logged is dropped."""
    finished: list[StepScope] = getattr(_thread, "finished", [])
    _thread.finished = [*finished[-MAX_UNLOGGED:], scope]


def take_finished() -> list[StepScope]:
    """The finished steps of this thread that were not logged yet."""
    finished: list[StepScope] = getattr(_thread, "finished", [])
    _thread.finished = []
    return finished


def measured_steps(finished: list[StepScope], step: int) -> list[MeasuredStep]:
    """What these watched calls measured, which all belong to one training step, and what was found late.

    The sentinel's answer for a step that ran on an accelerator is read one log_step later, so that the
    host never waits for the device.
    """
    waiting: list[tuple[int, StepScope]] = getattr(_thread, "waiting", [])
    for scope in finished:
        scope.number(step)
    _thread.waiting = [(step, s) for s in finished if s.verdict is not None and not s.verdict.on_host()]
    steps: dict[int, MeasuredStep] = {}
    for number, scope in [*waiting, *((step, s) for s in finished)]:
        if (number, scope) in _thread.waiting:
            continue
        scope.resolve()
        for measurement in scope.measurements:
            belongs = number if measurement.step is None else measurement.step
            kept = measurement.without_source() if scope.options.source == "off" else measurement
            steps.setdefault(belongs, MeasuredStep(belongs, [], scope.options.on_nonfinite)).measurements.append(kept)
    return [steps[number] for number in sorted(steps)]
