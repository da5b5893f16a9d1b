"""Ordinary steps: watched by the sentinel at almost no cost, run again when it trips.

What a step returns is checked every time. The variables are checked when the journal starts afresh: a
variable that turned NaN shows in the next loss, and if not, at the latest then. Either way the journal
reaches back beyond the bad step, and running it forward finds that step.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tb_numstab.instrument import iterators
from tb_numstab.instrument.backward import with_backward_pass
from tb_numstab.instrument.eager import EagerRecorder
from tb_numstab.instrument.host import step_aside
from tb_numstab.instrument.host_calls import HostCalls
from tb_numstab.instrument.iterators import Arguments
from tb_numstab.instrument.journal import Call, Journal, Step
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.randomness import host_randomness_kept
from tb_numstab.instrument.sentinel import Label, Sentinel, Verdict, nonfinite
from tb_numstab.instrument.shadow import Handles, Shadow
from tb_numstab.instrument.twin import (
    CannotShadow,
    Twin,
    call_for_training,
    compiled_twin_of,
    first_trace,
    twin_of,
)
from tb_numstab.schema.names import NOT_REPRODUCED

MAX_REPLAYS = 100
"""Bad steps of a run that are measured again: the first ones tell the story."""


class Guard:
    """Keeps what a replay needs, asks the sentinel, and replays.

    A failure of any part switches the guard off, once and with a warning; training goes on.
    """

    def __init__(self, eager: EagerRecorder) -> None:
        """Takes the recorder that keeps the eager ops of the watcher's steps."""
        self._eager = eager
        self._journal = Journal()
        self._sentinel = Sentinel()
        self._outputs: list[Any] = []
        self._trained: dict[int, Any] = {}  # variables that the journal's steps update
        self._bad: set[Label] = set()
        self._unread: Verdict | None = None
        self._found: list[Measurement] = []
        self._replays = 0
        self._alerted = False
        self._shared = False
        self._off = False

    def take_alert(self) -> bool:
        """Whether a bad step was found since the last time: the next one is worth measuring too."""
        alerted, self._alerted = self._alerted, False
        return alerted

    def begin_step(self) -> Step:
        """An ordinary step begins."""
        if self._unread is not None and (self._journal.full or self._eager.sites):
            self._read(self._unread)
        if self._journal.full:
            self._forget()
        self._outputs = []
        return self._journal.begin_step()

    def settle(self) -> None:
        """A measured step begins, or training is over: what came before is judged, then forgotten."""
        if self._journal.steps and not self._off:
            if self._unread is not None:
                self._read(self._unread)
            verdict = self._ask([], list(self._trained.values()))
            if verdict is not None:
                self._read(verdict)
        self._forget()

    def rely_on(self, exact: bool) -> None:
        """Sets whether calls can be run again exactly (see Journal.exact)."""
        self._journal.exact = exact

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Makes one call of the training and notes what a replay needs."""
        call, problem, real = None, None, Arguments(args, kwargs, {})
        try:
            twin = twin_of(function)
            if not self._off and not twin.tried:
                self._meet(function, args, kwargs)
            if not self._off and twin.usable:
                given = Arguments.of(function, args, kwargs)._replace(captured=twin.iterators)
                real = iterators.for_training(given)
                call = self._journal.add(function, given, twin.written)
                call.host_calls = HostCalls() if twin.host_code else None
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            problem = error
        result = call_for_training(function, real, None if call is None else call.host_calls)
        try:
            if problem is not None:  # else the training's own exception says it
                raise problem
            if call is not None:
                self._note(call, twin, result)
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._switch_off(error)
        return result

    def _note(self, call: Call, twin: Twin, result: Any) -> None:
        """Adds what is known of a call once it is over."""
        self._journal.finish(call, result)
        self._outputs += tf.nest.flatten(result, expand_composites=True)
        self._trained |= twin.trained
        self._shared |= twin.shared

    def _meet(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A function that no measured step has called so far: it can be replayed from now on, and is measured next."""
        self._alerted = True
        with host_randomness_kept(), contextlib.suppress(CannotShadow):  # the measured step says so
            first_trace(function, Arguments.of(function, args, kwargs))

    def add_outputs(self, values: Any) -> None:
        """Adds results of the step that no call returned directly, such as Keras's logs."""
        self._outputs += tf.nest.flatten(values)

    def end_step(self) -> Verdict | None:
        """Asks the sentinel; does not wait for its answer."""
        self._trained |= self._eager.updated
        if self._journal.steps:
            self._journal.steps[-1].backward_passes = self._eager.backward_passes
        asked = self._trained if self._journal.full else self._eager.updated
        # Workers replay together or not at all: they must agree, and all have the same variables.
        outputs = [] if self._shared else [*self._outputs, *self._eager.results()]
        self._unread = None if self._off else self._ask(outputs, list(asked.values()))
        self._outputs = []
        return self._unread

    def resolve(self, verdict: Verdict | None) -> list[Measurement]:
        """Reads the sentinel's answer for a step; returns the bad steps that were measured again."""
        if verdict is not None and verdict is self._unread:
            self._read(verdict)
        found, self._found = self._found, []
        return found

    def _ask(self, outputs: list[Any], variables: list[Any]) -> Verdict | None:
        try:
            return self._sentinel.check(outputs, variables)
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._switch_off(error)
            return None

    def _read(self, verdict: Verdict) -> None:
        self._unread = None
        try:
            flagged = verdict.flagged()
            if not flagged and not self._bad:
                return
            variables = {key: self._trained[key] for kind, key in flagged if kind == "variable"}
            flagged = {f for f in flagged if f[0] == "output"} | nonfinite([], variables)
            # A variable that was not asked about stays what it was.
            known = self._bad
            self._bad = flagged | {b for b in known if b not in verdict.labels}
            if flagged - known and self._replays < MAX_REPLAYS:
                self._replays += 1
                with host_randomness_kept():
                    measured = self._replay(known)
                self._found += measured
                self._alerted |= bool(measured)
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._switch_off(error)

    def _replay(self, known: set[Label]) -> list[Measurement]:
        """Measures the first step of the journal that turned something non-finite, beyond ``known``."""

        def bad(outputs: list[Any], state: Handles) -> bool:
            trained = {key: state[key] for key in self._trained if key in state}
            return bool(nonfinite([] if self._shared else outputs, trained) - known)

        passed, found = self._journal.first(bad)
        step, snapshot = passed[-1]
        if step.measured:  # its loss was news, and now its variables are
            return []
        before = [
            m for earlier, state in passed[:-1] if not earlier.measured for m in self._measure_step(earlier, state)
        ]
        measurements = self._measure_step(step, snapshot)
        if found and not any(m.went_bad() for m in measurements):
            measurements = self._measure_compiled(step, snapshot) or measurements
        if step is self._journal.steps[-1] and self._eager.problem is None:
            eager = self._eager.measurement(kind="replay")
            if eager is not None:
                measurements.append(dataclasses.replace(eager, step=step.number))
                found |= eager.went_bad()
        if not (found and any(m.went_bad() for m in measurements)):
            measurements = [m.noting(NOT_REPRODUCED) for m in measurements]
        return before + measurements

    def _measure_compiled(self, step: Step, snapshot: Shadow) -> list[Measurement]:
        """The step as XLA computes it, if that is where it fails."""
        if not any(twin_of(call.function).compiled for call in step.calls):
            return []
        measurements = self._measure_step(step, snapshot, compiled_twin_of)
        return measurements if any(m.went_bad() for m in measurements) else []

    def _measure_step(
        self, step: Step, snapshot: Shadow, twin_for: Callable[[Any], Twin] = twin_of
    ) -> list[Measurement]:
        measurements, state, step.measured = [], snapshot.variables(), True
        for call in step.calls:
            if call.snapshot is not None:
                state = call.snapshot.variables()
            measurements += self._measure(twin_for, call, state, step)
            call.run(state)
        return measurements

    def _measure(self, twin_for: Callable[[Any], Twin], call: Call, state: Handles, step: Step) -> list[Measurement]:
        passes = step.backward_passes
        function, given, returned = with_backward_pass(call.function, call.given, call.returned, passes)
        twin, arguments = twin_for(function), iterators.opened(given)
        try:
            trace = twin.trace(arguments.args, arguments.kwargs)
        except CannotShadow:
            return []
        call.restore(state)
        rows = twin.run(trace, lambda: iterators.opened(given), state, call.host_calls)
        measured = trace.measured(rows, arguments, returned, kind="replay")
        return [dataclasses.replace(measured, step=step.number)]

    def _forget(self) -> None:
        self._journal.clear()
        self._trained = {}

    def _switch_off(self, error: Exception) -> None:
        self._off = True
        self._forget()
        step_aside("steps that are not measured cannot be replayed", error)
