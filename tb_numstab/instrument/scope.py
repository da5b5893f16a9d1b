"""One watched step in one thread: what happens at the calls of tf.functions inside it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.eager import context as tf_context
from tensorflow.python.eager.polymorphic_function import polymorphic_function

from tb_numstab.instrument.backward import BackwardPass
from tb_numstab.instrument.eager import EagerRecorder
from tb_numstab.instrument.graph_recorder import GraphRecorder
from tb_numstab.instrument.guard import Guard
from tb_numstab.instrument.host import step_aside, warn_once
from tb_numstab.instrument.inline import call_function
from tb_numstab.instrument.journal import Step
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.options import Options
from tb_numstab.instrument.seams import current_listener
from tb_numstab.instrument.sentinel import Verdict, nonfinite
from tb_numstab.instrument.surveyed import SurveyedCall
from tb_numstab.schema.names import NOT_REPRODUCED

T = TypeVar("T")

_thread = threading.local()


class StepScope:
    """A watched step on its way; a context manager around it.

    Attributes:
      measurements: what has been measured, once the step is over.
      verdict: the sentinel's answer to come, on an ordinary step.
      options: those of ``watch``.
      watcher: the Watcher whose step it is.
    """

    def __init__(self, watcher: Any, eager: EagerRecorder, guard: Guard | None, options: Options) -> None:
        """Args are the watcher and its own, shared by all of its steps; ``guard`` is None without replay."""
        self.options = options
        self.watcher = watcher
        self.measurements: list[Measurement] = []
        self.verdict: Verdict | None = None
        self._eager = eager
        self._guard = guard
        self._page: Step | None = None
        self._inside = self._failed = self._called = False
        self._stack = ExitStack()

    def __enter__(self) -> StepScope:
        try:
            _install()
            self._stack.callback(setattr, _thread, "scope", current_scope())
            _thread.scope = self
            self._begin()
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._stack.close()
            self._failed = True
            step_aside("this step is not measured", error)
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._stack.close()
            if not self._failed:
                self._end()
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            step_aside("this step is not measured", error)

    def _begin(self) -> None:
        if self._guard is not None:
            self._page = self._guard.begin_step()
            if self._eager.sites:
                self._stack.enter_context(self._eager.step(at_once=False))

    def _end(self) -> None:
        if self._guard is not None:
            self.verdict = self._guard.end_step()

    def returned(self, values: Any) -> None:
        """Adds results of the step to those that must be finite; a structure of tensors or numbers."""
        if self._guard is not None:
            self._guard.add_outputs(values)

    def number(self, step: int) -> None:
        """Tells which training step this was."""
        if self._page is not None:
            self._page.number = step

    def resolve(self) -> None:
        """Reads the sentinel's answer; a bad step is measured again, from the state before it."""
        if self._guard is not None:
            self.measurements += self._guard.resolve(self.verdict)
        self.verdict = None

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a tf.function for the step."""
        if self._inside:  # eager code that TensorFlow runs inside a call
            return call_function(function, *args, **kwargs)
        self._inside = self._called = True
        try:
            return self._call(function, args, kwargs)
        finally:
            self._inside = False

    def _call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._guard is None:
            return call_function(function, *args, **kwargs)
        with self._eager.paused():
            return self._guard.call(function, args, kwargs)


class FinalScope(StepScope):
    """No step, but the end of the last one."""

    def _begin(self) -> None:
        if self._guard is not None:
            self._guard.settle()

    def _end(self) -> None:
        pass


class SurveyScope(StepScope):
    """A step in which everything is measured: a function's twin runs before the function itself."""

    def _begin(self) -> None:
        if self._guard is not None:
            self._guard.settle()
        self._surveyed: list[SurveyedCall] = []
        self._stack.enter_context(self._eager.step(at_once=True))

    def _end(self) -> None:
        passes = self._eager.backward_passes
        found = [*(call.measurement(passes) for call in self._surveyed), self._eager.measurement()]
        self.measurements += [measured for measured in found if measured is not None]
        if self.measurements and not any(measured.went_bad() for measured in self.measurements):
            self._compare(passes)
        if self._guard is not None and self._surveyed:
            self._guard.rely_on(all(c.repeatable for c in self._surveyed) and not self._eager.updates_variables)
        if not self.measurements and not self._called:
            warn_once(
                "a watched callable is not measured: it ran no floating-point op of TensorFlow. "
                "Training goes on unchanged."
            )

    def _compare(self, passes: Sequence[BackwardPass]) -> None:
        """Looks at the training's own results: bad ones come from XLA or Grappler, where no measured one is."""
        if not nonfinite([result for call in self._surveyed for result in call.results], {}):
            return
        compiled = [call.compiled_measurement(passes) for call in self._surveyed]
        if any(measured is not None and measured.went_bad() for measured in compiled):
            self.measurements = [measured for measured in compiled if measured is not None]
        else:
            self.measurements = [measured.noting(NOT_REPRODUCED) for measured in self.measurements]

    def _call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._eager.paused():
            call = SurveyedCall(function, args, kwargs)
            result = call.make()
        self._surveyed.append(call)
        return result


def current_scope() -> StepScope | None:
    """The watched step that this thread is in."""
    return getattr(_thread, "scope", None)


def _install() -> None:
    """Puts the one hook in place: every call of a tf.function comes by here."""
    if polymorphic_function.Function.__call__ is not call_function:
        return

    @functools.wraps(call_function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.config.functions_run_eagerly():
            pass  # its ops are measured as they run
        elif tf_context.executing_eagerly():
            scope = current_scope()
            if scope is not None:
                return scope.call(self, args, kwargs)
        else:
            recorder = current_listener()
            if isinstance(recorder, GraphRecorder):
                return recorder.call(self, args, kwargs)
        return call_function(self, *args, **kwargs)

    polymorphic_function.Function.__call__ = call
