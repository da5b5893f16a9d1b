"""Recording a step that runs eagerly: each op is measured as soon as it has run."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from tensorflow.python.eager import record
from tensorflow.python.framework import op_def_registry
from tensorflow.python.ops import gen_resource_variable_ops

from tb_numstab.instrument.collector import Collector, Rows
from tb_numstab.instrument.counters import LAYOUTS, measure
from tb_numstab.instrument.op_types import ALIASES, READS, UNPACKING, is_measured, is_update
from tb_numstab.instrument.operands import count_events, count_update, counts_events
from tb_numstab.instrument.recorder import Recorder
from tb_numstab.schema.columns import Row
from tb_numstab.schema.ops import OpSite, Role

_DELTAS = {"AssignSubVariableOp": np.subtract, "AssignAddVariableOp": np.add}


class EagerRecorder(Recorder):
    """Measures eager ops; keeps one op table over all steps.

    An eager op has no identity beyond its place: type, source line, and how often that came before in
    the same step. So the n-th MatMul of a line is one slot in every step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[Any, ...], int] = {}
        self._paused = False
        self._begin()

    def _begin(self) -> None:
        self._slots.clear()
        self._by_inputs.clear()
        self._by_type.clear()
        self._differentiated.clear()
        self._seen: Counter[tuple[Any, ...]] = Counter()
        self._consumed: set[int] = set()
        self._scalars: dict[int, int] = {}  # tensor id -> slot
        self._values: dict[int, Any] = {}  # handle id -> the variable's last known value
        self._unmade: list[Any] = []  # tensors from outside the step
        self._collector = Collector()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Records the eager ops of one step."""
        self._begin()
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

    def rows(self) -> Rows | None:
        """The measurements of the step just recorded; None when no eager op was measured.

        Raises:
          Exception: the first one that stopped recording.
        """
        problem = self.problem or self._collector.problem
        if problem is not None:
            raise problem
        for tensor, slot in self._scalars.items():
            if tensor not in self._consumed and not self.sites[slot].returned:
                self.sites[slot] = dataclasses.replace(self.sites[slot], returned=True)
        rows = self._collector.finish(len(self.sites))
        self._begin()
        return rows if self.sites else None

    # ---- one op

    def record(
        self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], op_name: str | None, graph: Any
    ) -> None:
        if self._paused or graph is not None or op_def_registry.get(op_type) is None or op_type in UNPACKING:
            return  # calls of functions are not ops, nor is unpacking what one returned
        self._consumed.update(i._id for i in inputs)
        if op_type in ALIASES:
            for source, tensor in zip(inputs, outputs, strict=False):
                if self.slot_of(source) >= 0:
                    self.alias(tensor, self.slot_of(source))
        elif is_update(op_type):
            self._add_update(op_type, inputs)
        elif outputs and is_measured(outputs[0].dtype.name):
            if op_type in READS:
                self._values[id(inputs[0])] = outputs[0]
            self._add_op(op_type, inputs, outputs)

    def _add_op(self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        for tensor in inputs:
            self._add_input(tensor)
        site = self.describe(op_type, op_type, inputs)
        if op_type in READS:
            site = self._of_variable(site, inputs[0], Role.VARIABLE)
        arrays = [_host(i) for i in inputs] if counts_events(op_type, [i.dtype.name for i in inputs]) else []
        for index, tensor in enumerate(outputs):
            if is_measured(tensor.dtype.name):
                array = _host(tensor)
                row, histogram = measure(array, LAYOUTS[array.dtype.name])
                if arrays:
                    count_events(op_type, row, array, arrays)
                slot = self._place(dataclasses.replace(site, output=index), tensor)
                if op_type in READS:
                    self.handles[slot] = id(inputs[0])
                self._collector.add(slot, row, histogram)
                if array.size == 1 and not array.shape:
                    self._scalars[tensor._id] = slot
        self.remember(op_type, inputs, self.slot_of(outputs[0]))

    def _add_input(self, tensor: Any) -> None:
        """A float tensor that no recorded op made comes from outside the step."""
        if tensor._id in self._slots or not is_measured(tensor.dtype.name):
            return
        array = _host(tensor)
        row, histogram = measure(array, LAYOUTS[array.dtype.name])
        site = self.describe("Placeholder", "input", ())
        site = dataclasses.replace(site, role=Role.INPUT, gradient_of=-1)
        self._collector.add(self._place(site, tensor), row, histogram)
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
        old = self._values.get(id(handle))
        if old is None and op_type in _DELTAS:
            old = self._find_old_value(op_type, handle, new, delta)
        links = (-1 if old is None else self.slot_of(old), self.slot_of(delta))
        site = self._of_variable(self.describe(op_type, op_type, [delta]), handle, Role.UPDATE)
        array = _host(new)
        row, histogram = measure(array, LAYOUTS[array.dtype.name])
        if old is not None and op_type != "AssignVariableOp" and delta.shape == new.shape == old.shape:
            count_update(op_type, row, array, [_host(old), _host(delta)])
        slot = self._place(dataclasses.replace(site, inputs=links), new)
        self.handles[slot] = id(handle)
        self._collector.add(slot, row, histogram)
        self._values[id(handle)] = new

    def _find_old_value(self, op_type: str, handle: Any, new: Any, delta: Any) -> Any:
        """The tensor this step read from a variable: TensorFlow's fast path reads without an op.

        It is the one from outside the step that the delta turns into the new value, bit for bit.
        """
        for tensor in self._unmade:
            if tensor.dtype == new.dtype and tensor.shape == new.shape == delta.shape:
                if _DELTAS[op_type](_host(tensor), _host(delta)).tobytes() == _host(new).tobytes():
                    slot = self.slot_of(tensor)
                    self.sites[slot] = self._of_variable(self.sites[slot], handle, Role.VARIABLE)
                    return tensor
        return None

    # ---- stable slots

    def _place(self, site: OpSite, tensor: Any) -> int:
        """The slot of this op of this line, new when it was never seen."""
        source = site.source
        line = (source.file, source.line) if source else ()
        key = (site.op_type, site.role, line, site.gradient_of, site.output, site.variable)
        self._seen[key] += 1
        slot = self._known.get((*key, self._seen[key]))
        if slot is not None:
            self.alias(tensor, slot)
            return slot
        where = f":{source.line}" if source else ""
        order = f"_{self._seen[key]}" if self._seen[key] > 1 else ""
        site = dataclasses.replace(
            site, name=f"{site.name}{where}{order}", dtype=tensor.dtype.name, shape=tuple(tensor.shape)
        )
        slot = self._known[(*key, self._seen[key])] = self.add(tensor, site)
        return slot

    def _of_variable(self, site: OpSite, handle: Any, role: Role) -> OpSite:
        site = dataclasses.replace(site, role=role, gradient_of=-1)
        return self.with_variable(site, self.note_variable(handle))


def _host(tensor: Any) -> Row:
    """An eager tensor's elements, without a copy where they are in host memory."""
    return np.asarray(tensor._numpy())
