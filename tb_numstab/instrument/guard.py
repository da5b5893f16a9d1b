"""Ordinary steps: watched by the sentinel at almost no cost, run again when it trips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tb_numstab.instrument import iterators
from tb_numstab.instrument.host import host_randomness_kept, step_aside
from tb_numstab.instrument.journal import Call, Journal
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.sentinel import Label, Sentinel, confirmed
from tb_numstab.instrument.shadow import Handles
from tb_numstab.instrument.twin import CannotShadow, Twin, twin_of

NOT_REPRODUCED = (
    "the step was run again and stayed finite: what it draws or how it is compiled differs in the measured run"
)
INEXACT = (
    "the state before this step was rebuilt, and differs from the training's: something else changed the variables"
)


@dataclass
class Verdict:
    """The sentinel's answer for one step, perhaps still on the device."""

    labels: list[Label]
    flags: Any

    def on_host(self) -> bool:
        """Whether reading the answer makes nobody wait."""
        return "CPU" in self.flags.device


class Guard:
    """Keeps what a replay needs, asks the sentinel, and replays.

    A failure of any part switches the guard off, once and with a warning; training goes on.
    """

    def __init__(self) -> None:
        self._journal = Journal()
        self._sentinel = Sentinel()
        self._outputs: list[Any] = []
        self._handles: dict[int, Any] = {}  # trained variables that this step's functions update
        self._bad: set[Label] = set()
        self._off = False

    def begin_step(self) -> None:
        """An ordinary step begins."""
        self._outputs, self._handles = [], {}
        self._journal.begin_step()

    def begin_survey(self, exact: bool) -> None:
        """A measured step begins: the past is not needed any more.

        Args:
          exact: whether calls can be run again exactly (see Journal.exact).
        """
        self._journal.clear()
        self._journal.exact = exact

    def call(self, original: Callable[..., Any], function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Makes one call of the training and notes what a replay needs."""
        call, twin = None, twin_of(function)
        if not self._off and twin.usable and function._variable_creation_config is not None:
            try:
                real_args, real_kwargs = iterators.for_training(args, kwargs)
                call = self._journal.add(function, args, kwargs, twin.written)
                args, kwargs = real_args, real_kwargs
            except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
                self._switch_off(error)
        result = original(function, *args, **kwargs)
        if call is not None:
            call.args, call.kwargs = iterators.recorded(call.args, call.kwargs)
            self._outputs += tf.nest.flatten(result, expand_composites=True)
            self._handles |= twin.trained
        return result

    def end_step(self) -> Verdict | None:
        """Asks the sentinel; does not wait for its answer."""
        if self._off:
            return None
        try:
            asked = self._sentinel.check(self._outputs, list(self._handles.values()))
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._switch_off(error)
            return None
        self._outputs = []
        return None if asked is None else Verdict(*asked)

    def resolve(self, verdict: Verdict) -> list[Measurement]:
        """Reads the sentinel's answer; if the step turned something non-finite, measures it again."""
        try:
            flagged = {label for label, flag in zip(verdict.labels, np.asarray(verdict.flags), strict=True) if flag}
            if not flagged:
                self._bad = flagged
                return []
            flagged = {label for label in flagged if label[0] == "output" or confirmed(self._handles[label[1]])}
            new, self._bad = flagged - self._bad, flagged
            with host_randomness_kept():
                return self._replay() if new else []
        except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
            self._switch_off(error)
            return []

    def _replay(self) -> list[Measurement]:
        state, calls = self._journal.state_before_last_step()
        measurements = []
        for call in calls:
            if call.snapshot is not None:
                state = call.snapshot.variables()
            call.restore(state)
            measurements += self._measure(call, twin_of(call.function), state)
            call.run(state)
        if not self._journal.agrees(state):
            measurements = [m.noting(INEXACT) for m in measurements]
        if not any(m.nonfinite() for m in measurements):
            measurements = [m.noting(NOT_REPRODUCED) for m in measurements]
        self._journal.clear()
        return measurements

    def _measure(self, call: Call, twin: Twin, state: Handles) -> list[Measurement]:
        try:
            trace = twin.trace(*iterators.opened(call.args, call.kwargs))
        except CannotShadow:
            return []
        rows = twin.run(trace, *iterators.opened(call.args, call.kwargs), stand_ins=state)
        return [Measurement(trace.sites, rows, trace.notes, kind="replay")]

    def _switch_off(self, error: Exception) -> None:
        self._off = True
        self._journal.clear()
        step_aside("steps that are not measured cannot be replayed", error)
