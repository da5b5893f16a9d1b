"""Recording a step that runs eagerly.

In a measured step each op is measured as soon as it has run. In an ordinary one its tensors are only
kept; they are measured afterwards when something non-finite came out, and dropped when not.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from tensorflow.python.eager import record
from tensorflow.python.framework import op_def_registry
from tensorflow.python.ops import gen_resource_variable_ops

from tb_numstab.instrument import stack
from tb_numstab.instrument.backward import BackwardPass
from tb_numstab.instrument.measurement import Measurement
from tb_numstab.instrument.op_types import ALIASES, READS, UNPACKING, is_measured, is_update
from tb_numstab.instrument.operands import counts_events
from tb_numstab.instrument.readings import Reading, Readings, host_array
from tb_numstab.instrument.recorder import Recorder
from tb_numstab.instrument.shadow import Handles
from tb_numstab.schema.ops import OpSite, Role

CALL = "PartitionedCall"
"""Op type that stands for the call of a function's graph."""

MAX_VARIANTS = 4
"""Slots for one op whose operands come from different ops in different steps: the first step of a loop often differs.

Beyond these an op keeps the links of its first variant, so that the op table stays bounded.
"""

_DELTAS = {"AssignSubVariableOp": np.subtract, "AssignAddVariableOp": np.add}


class EagerRecorder(Recorder):
    """Records eager ops; keeps one op table over all steps.

    An eager op has no identity beyond its place: type, source line, Keras object, and how often that
    came before in the same step. So the n-th MatMul of a line is one slot in every step, as long as its
    operands come from the same slots.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._variants: dict[tuple[Any, ...], list[tuple[int, ...]]] = {}
        self._paused = False
        self._begin(at_once=True)

    def _begin(self, at_once: bool) -> None:
        self._slots = {}
        self._by_inputs.clear()
        self._by_type.clear()
        self._differentiated.clear()
        self._seen: dict[tuple[Any, ...], int] = {}
        self._consumed: set[int] = set()
        self._scalars: dict[int, tuple[int, Any]] = {}  # tensor id -> its slot, the tensor
        self._values: dict[int, Any] = {}  # handle id -> the variable's last known value
        self._unmade: list[Any] = []  # tensors from outside the step
        self._takes: dict[int, list[int]] = {}  # slot -> ids of the tensors it takes from a function
        self._calls: dict[int, list[int]] = {}  # tensor id -> ids of all that came out of the same function call
        self.backward_passes: list[BackwardPass] = []
        self._readings = Readings(at_once)
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
        """Ops inside the block, a function's call, are not this recorder's business."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before
            self._values.clear()  # the function may have updated any variable

    def results(self) -> list[Any]:
        """The scalars of the step that no op of it used: losses, norms."""
        return [tensor for key, (_, tensor) in self._scalars.items() if key not in self._consumed]

    def measurement(self, kind: str = "survey") -> Measurement | None:
        """The measurements of the step just recorded, once; None when it had no eager op of interest.

        Raises:
          Exception: the first one that stopped recording.
        """
        if self.problem is not None:
            raise self.problem
        for key, (slot, _) in self._scalars.items():
            if key not in self._consumed and not self.sites[slot].returned:
                self.sites[slot] = dataclasses.replace(self.sites[slot], returned=True)
        rows = self._readings.rows(len(self.sites))
        makes = {tensor: slot for tensor, slot in self._slots.items() if slot not in self._takes}
        measured = Measurement(self.sites, rows, self.handles, self._takes, makes, kind=kind)
        self._begin(at_once=False)
        return measured if self.sites else None

    # ---- one op

    def record(
        self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], op_name: str | None, graph: Any
    ) -> None:
        if graph is not None or op_type in UNPACKING:
            return
        if op_def_registry.get(op_type) is None:
            self._add_call(op_type, inputs, outputs)
            return
        if self._paused:
            return
        for tensor in inputs:
            self._consumed.add(tensor._id)
        if op_type in ALIASES:
            for source, tensor in zip(inputs, outputs, strict=False):
                if self.slot_of(source) >= 0:
                    self.alias(tensor, self.slot_of(source))
        elif is_update(op_type):
            self._add_update(op_type, inputs)
        elif op_type in READS and id(inputs[0]) in self._values:
            self.alias(outputs[0], self.slot_of(self._values[id(inputs[0])]))
        elif outputs and is_measured(outputs[0].dtype.name):
            self._add_op(op_type, inputs, outputs)

    def _add_op(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        for tensor in inputs:
            self._add_input(tensor)
        handle = inputs[0] if op_type in READS else None
        key = self._variant(self._key(op_type, handle), inputs)
        if key not in self._known:
            site = self.describe(op_type, op_type, inputs)
            if handle is not None:
                site = self._of_variable(site, handle, Role.VARIABLE)
            self._known[key] = self._add_sites(site, key, outputs, handle)
        operands = tuple(inputs) if counts_events(op_type, [i.dtype.name for i in inputs]) else ()
        for slot, tensor in zip(self._known[key], outputs, strict=False):
            if slot >= 0 and is_measured(tensor.dtype.name):
                self.alias(tensor, slot)
                self._readings.take(Reading(slot, op_type, tensor, operands))
                if tensor._rank() == 0 and not self._is_element(op_type, inputs):
                    self._scalars[tensor._id] = slot, tensor
        if handle is not None:
            self._values[id(handle)] = outputs[0]
        self.remember(op_type, inputs, self.slot_of(outputs[0]))

    def _is_element(self, op_type: str, inputs: Sequence[Any]) -> bool:
        """Whether an op looks up an element of a variable, as ``v[i].assign(x)`` does: no result of the step."""
        slot = self.slot_of(inputs[0]) if op_type == "StridedSlice" else -1
        return slot >= 0 and self.sites[slot].role is Role.VARIABLE

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
        self._readings.take(Reading(slot, "Placeholder", tensor, ()))
        self._takes[slot] = [tensor._id]
        self._unmade.append(tensor)

    def _add_call(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """The call of a function's graph; one outside any scope is the backward pass of an earlier one.

        A backward pass gets what the forward call kept for it. It is measured together with that call;
        a second one of the same call is an op, linked to what the call returned.
        """
        if self._paused:
            ids = [t._id for t in outputs]
            self._calls |= dict.fromkeys(ids, ids)
            return
        kept = {id(self._calls[t._id]): self._calls[t._id] for t in inputs if t._id in self._calls}
        self._consumed.update(t._id for t in inputs)
        for forward in reversed(kept.values()):  # of several, what came later is differentiated first
            if not any(known.forward is forward for known in self.backward_passes):
                upstream = list(itertools.takewhile(lambda t: t._id not in self._calls, inputs))
                self.backward_passes.append(BackwardPass(forward, upstream, [t._id for t in outputs]))
                return
        self._add_op(CALL, [t for t in inputs if t._id not in self._calls], outputs)
        for slot in {self.slot_of(t) for t in outputs} - {-1}:
            self._takes[slot] = [tensor for ids in kept.values() for tensor in ids]

    def _add_update(self, op_type: str, inputs: Sequence[Any]) -> None:
        handle = inputs[0]
        deltas = [i for i in inputs[1:] if is_measured(i.dtype.name)]
        if not deltas:
            return
        delta = deltas[-1]
        self._add_input(delta)
        with record.stop_recording():
            new = gen_resource_variable_ops.read_variable_op(handle, delta.dtype)
        old, key = self._values.get(id(handle)), self._variant(self._key(op_type, handle), [delta])
        if old is None and op_type in _DELTAS and (self._readings.at_once or key not in self._known):
            old = self._find_old_value(op_type, handle, new, delta)
        if key not in self._known:
            links = (-1 if old is None else self.slot_of(old), self.slot_of(delta))
            site = self._of_variable(self.describe(op_type, op_type, [delta]), handle, Role.UPDATE)
            self._known[key] = self._add_sites(dataclasses.replace(site, inputs=links), key, [new], handle)
        slot = self._known[key][0]
        self.alias(new, slot)
        counted = old is not None and op_type != "AssignVariableOp" and delta.shape == new.shape == old.shape
        self._readings.take(Reading(slot, op_type, new, (old, delta) if counted else ()))
        self._values[id(handle)] = new
        if self.is_trained(id(handle)):
            self.updated[id(handle)] = handle

    def _find_old_value(self, op_type: str, handle: Any, new: Any, delta: Any) -> Any:
        """The tensor this step read from a variable: TensorFlow's fast path reads without an op.

        It is the one from outside the step that the delta turns into the new value, bit for bit.
        """
        for tensor in self._unmade:
            if tensor.dtype == new.dtype and tensor.shape == new.shape == delta.shape:
                if _DELTAS[op_type](host_array(tensor), host_array(delta)).tobytes() == host_array(new).tobytes():
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

    def _variant(self, key: tuple[Any, ...], inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The key of an op with operands from these slots."""
        links, variants = tuple(self.slot_of(tensor) for tensor in inputs), self._variants.setdefault(key, [])
        if links not in variants and len(variants) < MAX_VARIANTS:
            variants.append(links)
        return (links if links in variants else variants[0], *key)

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
