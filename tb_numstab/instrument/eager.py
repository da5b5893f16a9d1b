"""Recording a step that runs eagerly.

In a measured step each op is measured as soon as it has run. In an ordinary one its tensors are only
kept; they are measured afterwards when something non-finite came out, and dropped when not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import op_def_registry
from tensorflow.python.ops import gen_resource_variable_ops

from tb_numstab.instrument import stack
from tb_numstab.instrument.collector import Collector
from tb_numstab.instrument.counters import LAYOUTS, measure
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.op_types import ALIASES, READS, UNPACKING, is_measured, is_update
from tb_numstab.instrument.operands import count_events, count_update, counts_events
from tb_numstab.instrument.recorder import Recorder
from tb_numstab.instrument.shadow import Handles
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import OpSite, Role

_DELTAS = {"AssignSubVariableOp": np.subtract, "AssignAddVariableOp": np.add}

KEPT_BYTES = 256 << 20
"""What an ordinary step may keep. Beyond it, what was kept so far is summed up, and dropped if finite."""


class Reading(NamedTuple):
    """A tensor to be measured.

    Attributes:
      slot: where its row goes.
      op_type: the op that made it.
      tensor: the eager tensor.
      operands: the op's operands for op-level events; of an update the old value and the delta.
    """

    slot: int
    op_type: str
    tensor: Any
    operands: tuple[Any, ...]


class EagerRecorder(Recorder):
    """Records eager ops; keeps one op table over all steps.

    An eager op has no identity beyond its place: type, source line, Keras object, and how often that
    came before in the same step. So the n-th MatMul of a line is one slot in every step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._paused = False
        self._begin(at_once=True)

    def _begin(self, at_once: bool) -> None:
        self._at_once = at_once
        self._slots.clear()
        self._by_inputs.clear()
        self._by_type.clear()
        self._differentiated.clear()
        self._seen: dict[tuple[Any, ...], int] = {}
        self._consumed: set[int] = set()
        self._scalars: dict[int, tuple[int, Any]] = {}  # tensor id -> its slot, the tensor
        self._values: dict[int, Any] = {}  # handle id -> the variable's last known value
        self._unmade: list[Any] = []  # tensors from outside the step
        self._kept: list[Reading] = []
        self._kept_bytes = 0
        self._collector = Collector()
        self.updated: Handles = {}

    @contextmanager
    def step(self, at_once: bool) -> Iterator[None]:
        """Records the eager ops of one step.

        Args:
          at_once: measure each op when it has run; otherwise ``measurement`` does so, if it is called
            before the next step.
        """
        self._begin(at_once)
        with self.recording():
            yield

    @property
    def updates_variables(self) -> bool:
        """Whether any step updated a variable eagerly."""
        return any(site.role is Role.UPDATE for site in self.sites)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Ops inside the block are not this recorder's business."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def results(self) -> list[Any]:
        """The scalars of the step that no op of it used: losses, norms."""
        return [tensor for key, (_, tensor) in self._scalars.items() if key not in self._consumed]

    def measurement(self, kind: str = "survey") -> Measurement | None:
        """The measurements of the step just recorded, once; None when it had no eager op of interest.

        Raises:
          Exception: the first one that stopped recording.
        """
        self._measure_kept()
        problem = self.problem or self._collector.problem
        if problem is not None:
            raise problem
        for key, (slot, _) in self._scalars.items():
            if key not in self._consumed and not self.sites[slot].returned:
                self.sites[slot] = dataclasses.replace(self.sites[slot], returned=True)
        rows = self._collector.finish(len(self.sites))
        self._begin(self._at_once)
        return Measurement(self.sites, rows, self.handles, kind=kind) if self.sites else None

    # ---- one op

    def record(
        self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], op_name: str | None, graph: Any
    ) -> None:
        if self._paused or graph is not None or op_def_registry.get(op_type) is None or op_type in UNPACKING:
            return  # calls of functions are not ops, nor is unpacking what one returned
        for tensor in inputs:
            self._consumed.add(tensor._id)
        if op_type in ALIASES:
            for source, tensor in zip(inputs, outputs, strict=False):
                if self.slot_of(source) >= 0:
                    self.alias(tensor, self.slot_of(source))
        elif is_update(op_type):
            self._add_update(op_type, inputs)
        elif outputs and is_measured(outputs[0].dtype.name):
            self._add_op(op_type, inputs, outputs)

    def _add_op(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        for tensor in inputs:
            self._add_input(tensor)
        handle = inputs[0] if op_type in READS else None
        key = self._key(op_type, handle)
        if key not in self._known:
            site = self.describe(op_type, op_type, inputs)
            if handle is not None:
                site = self._of_variable(site, handle, Role.VARIABLE)
            self._known[key] = self._add_sites(site, key, outputs, handle)
        operands = tuple(inputs) if counts_events(op_type, [i.dtype.name for i in inputs]) else ()
        for slot, tensor in zip(self._known[key], outputs, strict=False):
            if slot >= 0 and is_measured(tensor.dtype.name):
                self.alias(tensor, slot)
                self._take(Reading(slot, op_type, tensor, operands))
                if tensor._rank() == 0:
                    self._scalars[tensor._id] = slot, tensor
        if handle is not None:
            self._values[id(handle)] = outputs[0]
        self.remember(op_type, inputs, self.slot_of(outputs[0]))

    def _add_input(self, tensor: Any) -> None:
        """A float tensor that no recorded op made comes from outside the step."""
        if tensor._id in self._slots or not is_measured(tensor.dtype.name):
            return
        key = self._key("Placeholder", None)
        if key not in self._known:
            site = dataclasses.replace(self.describe("Placeholder", "input", ()), role=Role.INPUT, gradient_of=-1)
            self._known[key] = self._add_sites(site, key, [tensor], None)
        slot = self._known[key][0]
        self.alias(tensor, slot)
        self._take(Reading(slot, "Placeholder", tensor, ()))
        self._unmade.append(tensor)

    def _add_update(self, op_type: str, inputs: Sequence[Any]) -> None:
        handle = inputs[0]
        deltas = [i for i in inputs[1:] if is_measured(i.dtype.name)]
        if not deltas:
            return
        delta = deltas[-1]
        self._add_input(delta)
        with record.stop_recording():
            new = gen_resource_variable_ops.read_variable_op(handle, delta.dtype)
        old, key = self._values.get(id(handle)), self._key(op_type, handle)
        if old is None and op_type in _DELTAS and (self._at_once or key not in self._known):
            old = self._find_old_value(op_type, handle, new, delta)
        if key not in self._known:
            links = (-1 if old is None else self.slot_of(old), self.slot_of(delta))
            site = self._of_variable(self.describe(op_type, op_type, [delta]), handle, Role.UPDATE)
            self._known[key] = self._add_sites(dataclasses.replace(site, inputs=links), key, [new], handle)
        slot = self._known[key][0]
        self.alias(new, slot)
        counted = old is not None and op_type != "AssignVariableOp" and delta.shape == new.shape == old.shape
        self._take(Reading(slot, op_type, new, (old, delta) if counted else ()))
        self._values[id(handle)] = new
        if self.is_trained(id(handle)):
            self.updated[id(handle)] = handle

    def _find_old_value(self, op_type: str, handle: Any, new: Any, delta: Any) -> Any:
        """The tensor this step read from a variable: TensorFlow's fast path reads without an op.

        It is the one from outside the step that the delta turns into the new value, bit for bit.
        """
        for tensor in self._unmade:
            if tensor.dtype == new.dtype and tensor.shape == new.shape == delta.shape:
                if _DELTAS[op_type](_host(tensor), _host(delta)).tobytes() == _host(new).tobytes():
                    slot = self.slot_of(tensor)
                    self.sites[slot] = self._of_variable(self.sites[slot], handle, Role.VARIABLE)
                    self.handles[slot] = id(handle)
                    return tensor
        return None

    # ---- stable slots

    def _key(self, op_type: str, handle: Any) -> tuple[Any, ...]:
        """What tells an op from all others of the step, and finds it again in the next one."""
        place = (op_type, *stack.spot(), self.forward_slot(), id(handle))
        count = self._seen[place] = self._seen.get(place, 0) + 1
        return (*place, count)

    def _add_sites(self, site: OpSite, key: tuple[Any, ...], outputs: Sequence[Any], handle: Any) -> tuple[int, ...]:
        where = f":{site.source.line}" if site.source else ""
        order = f"_{key[-1]}" if key[-1] > 1 else ""
        slots = []
        for index, tensor in enumerate(outputs):
            slot = -1
            if is_measured(tensor.dtype.name):
                slot = self.add(
                    tensor,
                    dataclasses.replace(
                        site,
                        name=f"{site.name}{where}{order}",
                        output=index,
                        dtype=tensor.dtype.name,
                        shape=tuple(tensor.shape),
                    ),
                )
                if handle is not None:
                    self.handles[slot] = id(handle)
            slots.append(slot)
        return tuple(slots)

    def _of_variable(self, site: OpSite, handle: Any, role: Role) -> OpSite:
        site = dataclasses.replace(site, role=role, gradient_of=-1)
        return self.with_variable(site, self.note_variable(handle))

    # ---- measuring

    def _take(self, reading: Reading) -> None:
        if self._at_once:
            self._measure(reading)
            return
        self._kept.append(reading)
        self._kept_bytes += reading.tensor._num_elements() * reading.tensor.dtype.size
        if self._kept_bytes > KEPT_BYTES:
            with record.stop_recording():
                finite = all(math.isfinite(tf.reduce_sum(r.tensor)) for r in self._kept)
            if not finite:
                self._measure_kept()
            self._kept, self._kept_bytes = [], 0

    def _measure_kept(self) -> None:
        for reading in self._kept:
            self._measure(reading)

    def _measure(self, reading: Reading) -> None:
        array = _host(reading.tensor)
        row, histogram = measure(array, LAYOUTS[array.dtype.name])
        if reading.operands:
            count = count_update if is_update(reading.op_type) else count_events
            count(reading.op_type, row, array, [_host(t) for t in reading.operands])
        self._collector.add(reading.slot, row, histogram)


def _host(tensor: Any) -> Row:
    """An eager tensor's elements, without a copy where they are in host memory."""
    return np.asarray(tensor._numpy())
