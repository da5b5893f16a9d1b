"""What it takes to run a step again: the state some steps back, and every call since.

A copy of the state at each step would cost a pass over all variables each time. The journal copies it
every SNAPSHOT_STEPS steps; to get the state before a given step it runs the user's own traces forward
from there, on copies, with the same inputs. Where the steps between cannot be run again exactly (eager
updates, random ops with hidden state), each call keeps a snapshot of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from tb_numstab.instrument import iterators
from tb_numstab.instrument.backward import BackwardPass
from tb_numstab.instrument.host_calls import HostCalls, tokens_in
from tb_numstab.instrument.iterators import Arguments
from tb_numstab.instrument.shadow import Handles, Shadow, assign, is_variable, read
from tb_numstab.instrument.twin import call_concrete, concrete_of, flat_inputs, tensor_ids

SNAPSHOT_STEPS = 10
"""Steps between two copies of the state: the measured cost falls below the noise, one copy is kept."""

READ_ONLY_LIMIT = 64
"""Elements up to which a variable that the step only reads is kept for every call: a learning rate may
change between two steps, frozen weights do not."""

INPUT_BYTES = 256 << 20
"""What calls are given may take as much memory as what eager ops make (readings.KEPT_BYTES); beyond it, the state is
copied early."""


@dataclass
class Call:
    """One call of a tf.function by the training, ready to be run again."""

    function: Any
    given: Arguments  # with a Replay for each iterator, once the call is over
    read_only: list[tuple[int, Any]]  # (handle id, value) of small variables the function does not write
    snapshot: Shadow | None  # the state before the call, where it cannot be rolled forward
    returned: list[int] = field(default_factory=list)  # tensor_ids of its result
    host_calls: HostCalls | None = None  # what Python code inside it returned

    def arguments(self) -> Arguments:
        """Its arguments, with iterators that yield what the call pulled."""
        return iterators.opened(self.given)

    def restore(self, state: Handles) -> None:
        """Brings small variables that the training changed by other means to their values of then."""
        for key, value in self.read_only:
            if key in state:
                assign(state[key], value)

    def run(self, state: Handles) -> list[Any]:
        """Runs the call again as the training did, changing only ``state``; returns its flat outputs."""
        arguments = self.arguments()
        concrete = concrete_of(self.function, arguments)
        self.restore(state)
        replaying = self.host_calls.replaying(tokens_in(concrete)) if self.host_calls else nullcontext()
        with record.stop_recording(), replaying:
            return flat_results(call_concrete(concrete, flat_inputs(concrete, arguments), state | arguments.handles()))


@dataclass
class Step:
    """The calls of one training step; its number is known once it was logged."""

    calls: list[Call] = field(default_factory=list)
    number: int | None = None
    measured: bool = False  # whether a replay has measured it
    backward_passes: list[BackwardPass] = field(default_factory=list)


@dataclass
class Journal:
    """The calls of the last steps, and the state before the first of them.

    Attributes:
      exact: whether calls can be rolled forward; if not, the journal holds one step only.
      steps: the noted steps, the current one last.
    """

    exact: bool = True
    steps: list[Step] = field(default_factory=list)
    _sizes: dict[int, int] = field(default_factory=dict)  # bytes of what the calls were given, by the tensor's id
    _snapshot: Shadow = field(default_factory=Shadow)
    _handles: dict[int, tuple[tuple[int, int], list[Any], list[Any]]] = field(default_factory=dict)  # by function id

    @property
    def full(self) -> bool:
        """Whether the next step starts a journal afresh."""
        return len(self.steps) >= (SNAPSHOT_STEPS if self.exact else 1) or sum(self._sizes.values()) > INPUT_BYTES

    def begin_step(self) -> Step:
        """Opens a page for a new step."""
        self.steps.append(Step())
        return self.steps[-1]

    def clear(self) -> None:
        """Forgets the past."""
        self.steps = []
        self._sizes = {}
        self._snapshot = Shadow()

    def add(self, function: Any, given: Arguments, written: set[int]) -> Call:
        """Notes a call that is about to happen.

        Args:
          function: the tf.function.
          given: its arguments.
          written: ids of the variable handles it updates.
        """
        handles, read_only = self._handles_of(function, written)
        if not given.only_tensors():
            given = _kept(given)
            flat = tf.nest.flatten((given.args, given.kwargs))
            passed = [t.handle for t in flat if isinstance(t, tf.Variable)]
            handles, read_only = handles + passed, read_only + _read_only(passed, written)
        if self.exact:
            self._snapshot.include(handles)
        call = Call(
            function,
            given,
            read_only=[(id(h), read(h)) for h in read_only],
            snapshot=None if self.exact else Shadow(handles),
        )
        self.steps[-1].calls.append(call)
        return call

    def finish(self, call: Call, result: Any) -> None:
        """Notes what is known of a call once it is over.

        Raises:
          TooLarge: it pulled more from an iterator than can be kept.
        """
        call.given = iterators.recorded(call.given)
        call.returned = tensor_ids(result)
        self._sizes |= iterators.sizes(call.given)

    def first(self, bad: Callable[[list[Any], Handles], bool]) -> tuple[list[tuple[Step, Shadow]], bool]:
        """Runs the steps forward on copies until one is bad.

        Args:
          bad: judges a step by its flat outputs and the state after it.

        Returns:
          the first bad step, or the last one when none was, behind its predecessor, each with the state
          before it; whether it was bad.
        """
        if not self.exact:
            return [(self.steps[-1], self._snapshot)], True
        state = self._snapshot.variables()
        passed: list[tuple[Step, Shadow]] = []
        for step in self.steps:
            passed = [*passed[-1:], (step, Shadow(self._snapshot.handles.values(), state))]
            if bad([t for call in step.calls for t in call.run(state)], state):
                return passed, True
        return passed, False

    def _handles_of(self, function: Any, written: set[int]) -> tuple[list[Any], list[Any]]:
        """The variables that any trace of the function captures, and those of them worth keeping for every call."""
        # Only the numbers are compared: to look into the cache costs a hash of every signature in it.
        version = len(function._function_cache), len(written)
        known = self._handles.get(id(function))
        if known is None or known[0] != version:
            traces = function._function_cache.values()
            captured = [t for concrete in traces for t in concrete.captured_inputs if is_variable(t)]
            known = self._handles[id(function)] = (version, captured, _read_only(captured, written))
        return known[1:]


def _read_only(handles: Sequence[Any], written: set[int]) -> list[Any]:
    return [h for h in handles if id(h) not in written and _elements(h) <= READ_ONLY_LIMIT]


def flat_results(result: Any) -> list[Any]:
    """Flat outputs of a call, those that Keras's train function packs into an optional among them."""
    flat: list[Any] = []
    for output in tf.nest.flatten(result):
        if isinstance(output, tf.experimental.Optional):
            output = output.get_value() if output.has_value() else ()
        flat += tf.nest.flatten(output, expand_composites=True)
    return flat


def _elements(handle: Any) -> int:
    count = tf.TensorShape(handle._handle_data.shape_and_type[0].shape).num_elements()
    return READ_ONLY_LIMIT + 1 if count is None else count


def _kept(given: Arguments) -> Arguments:
    """Arguments that stay what they are: the user may fill the same numpy buffer again for the next step."""
    flat = tf.nest.flatten(tuple(given))
    if not any(isinstance(a, np.ndarray) for a in flat):
        return given
    kept = [a.copy() if isinstance(a, np.ndarray) else a for a in flat]
    return Arguments(*tf.nest.pack_sequence_as(tuple(given), kept))
