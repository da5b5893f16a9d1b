"""One call of a tf.function in a step that is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tensorflow.python.eager import record

from tb_numstab.instrument import iterators
from tb_numstab.instrument.backward import BackwardPass, with_backward_pass
from tb_numstab.instrument.host import step_aside, warn_once
from tb_numstab.instrument.host_calls import HostCalls
from tb_numstab.instrument.iterators import Arguments
from tb_numstab.instrument.journal import flat_results
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.randomness import host_randomness_kept
from tb_numstab.instrument.shadow import Shadow
from tb_numstab.instrument.tap import TooLarge
from tb_numstab.instrument.twin import (
    CannotShadow,
    Twin,
    call_for_training,
    compiled_twin_of,
    first_trace,
    flat_inputs,
    tensor_ids,
    twin_of,
)

T = TypeVar("T")


class SurveyedCall:
    """A call that is measured on a shadow: before the training makes it, or at the end of the step.

    It must wait where it pulls its own data, where Python code in it may not run twice, where a GradientTape may
    ask for its backward pass later, and where XLA may turn out to compute otherwise.

    Attributes:
      repeatable: whether the training's call can be made again exactly.
      results: what the training's call returned, flat.
    """

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Traces the twin, and measures at once if it can."""
        self.repeatable = False
        self.results: list[Any] = []
        self._compiled = False
        self._function = function
        self._problem: Exception | None = None
        self._given = self._real = Arguments(args, kwargs, {})
        self._host_calls: HostCalls | None = None
        self._before: Shadow | None = None  # the state to measure from, if the measurement waits
        self._returned: Sequence[int] = ()
        self._measure: Callable[[Sequence[int]], Measurement] | None = None
        self._attempt(self._prepare)

    def _prepare(self) -> None:
        function = self._function
        given = self._given = Arguments.of(function, *self._given[:2])
        trace, twin = first_trace(function, given), twin_of(function)
        self.repeatable = not twin.hidden_state
        self._compiled = twin.compiled
        self._host_calls = HostCalls() if twin.host_code else None
        self._real = iterators.for_training(given)
        if twin.host_code or twin.compiled or self._real is not given or record.could_possibly_record():
            self._before = Shadow(flat_inputs(trace.concrete, given))
        else:
            rows = twin.run(trace, lambda: given)
            self._measure = lambda returned: trace.measured(rows, given, returned)

    def make(self) -> Any:
        """Makes the training's call."""
        result = call_for_training(self._function, self._real, self._host_calls)
        self.results, self._returned = flat_results(result), tensor_ids(result)
        if self._before is not None:
            recorded = self._attempt(lambda: iterators.recorded(self._given))
            if recorded is None:
                self._before = None  # nothing to measure it with
            else:
                self._given = recorded
        self._complain()
        return result

    def measurement(self, passes: Sequence[BackwardPass]) -> Measurement | None:
        """The measurement, once the step is over; None if there can be none.

        Args:
          passes: the backward passes made in the step.
        """
        if self._measure is not None:
            return self._measure(self._returned)
        return self._measured_late(passes, twin_of)

    def compiled_measurement(self, passes: Sequence[BackwardPass]) -> Measurement | None:
        """The measurement of the call as XLA computes it; None where XLA does not compile it."""
        return self._measured_late(passes, compiled_twin_of) if self._compiled else None

    def _measured_late(self, passes: Sequence[BackwardPass], twin_for: Callable[[Any], Twin]) -> Measurement | None:
        before = self._before
        if before is None:
            return None
        measured = self._attempt(lambda: self._measure_late(before, passes, twin_for))
        self._complain()
        return measured

    def _measure_late(
        self, before: Shadow, passes: Sequence[BackwardPass], twin_for: Callable[[Any], Twin]
    ) -> Measurement:
        function, given, returned = with_backward_pass(self._function, self._given, self._returned, passes)
        twin, first = twin_for(function), iterators.opened(given)
        trace = twin.trace(first.args, first.kwargs)
        rows = twin.run(trace, lambda: iterators.opened(given), before.variables(), self._host_calls)
        return trace.measured(rows, first, returned)

    def _attempt(self, action: Callable[[], T]) -> T | None:
        """Does a part of the measurement; None if it cannot be done."""
        try:
            with host_randomness_kept():
                return action()
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._problem = error
            return None

    def _complain(self) -> None:
        """Says once why there is no measurement; where the training's own call fails too, that says it."""
        problem, self._problem = self._problem, None
        if isinstance(problem, (CannotShadow, TooLarge)):
            warn_once(f"{_name(self._function)} is not measured: {problem}. Training goes on unchanged.")
        elif problem is not None:
            step_aside(f"{_name(self._function)} is not measured", problem)


def _name(function: Any) -> str:
    """What its user calls a function; of those that Keras makes they know nothing."""
    if str(getattr(function._python_function, "__module__", "")).startswith(("keras.", "tf_keras.")):
        return "the training step of Keras"
    return str(function._name)
