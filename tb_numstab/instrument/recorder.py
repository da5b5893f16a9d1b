"""From op callbacks to op sites: the part of recording that graph and eager ops share."""

from __future__ import annotations

import dataclasses
import sys
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops, tensor_util
from tensorflow.python.framework.op_callbacks import add_op_callback, remove_op_callback

from tb_numstab.instrument import stack
from tb_numstab.instrument.counters import measure
from tb_numstab.instrument.op_types import FROM_ITERATOR
from tb_numstab.instrument.seams import Listener, listening
from tb_numstab.schema.ops import OpSite, Role

_OWNER_FRAMES = 20
"""How far up the stack the variable or iterator behind a handle is looked for."""

_AFTER_GRADIENTS = (Role.GRADIENT, Role.OPTIMIZER)


class Recorder(Listener):
    """Builds op sites while ops are created (or, in eager mode, run) in this thread.

    Attributes:
      sites: the op table so far; a site's position is its slot.
      handles: id of the variable's handle, by slot of its reads and updates.
      problem: the first exception inside recording, which then stopped; None while all is well.
    """

    def __init__(self) -> None:
        self.sites: list[OpSite] = []
        self.problem: Exception | None = None
        self.handles: dict[int, int] = {}
        self._slots: dict[int | None, int] = {}  # tensor id -> slot
        self._by_inputs: dict[tuple[str, tuple[int | None, ...]], int] = {}
        self._by_type: dict[str, list[int]] = {}
        self._differentiated: set[int] = set()
        self._thread = threading.local()  # replicas of a strategy build gradients in their own threads
        self._owners: dict[int, Any] = {}
        self._variables: dict[int, Any] = {}  # handle id -> variable

    # ---- what subclasses provide

    @abstractmethod
    def record(
        self, op_type: str, inputs: Sequence[Any], outputs: Sequence[Any], op_name: str | None, graph: Any
    ) -> None:
        """Called after each op was created."""

    # ---- entering and leaving

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records every op of this thread inside the block; training code never sees an exception."""
        with listening():
            add_op_callback(self._on_op)
            try:
                yield
            finally:
                remove_op_callback(self._on_op)

    def _on_op(
        self,
        op_type: str | bytes,
        inputs: Any,
        attrs: Any,
        outputs: Any,
        op_name: str | None = None,
        graph: Any = None,
        **more: Any,
    ) -> Any:
        del attrs, more  # part of TensorFlow's callback signature, or of a later one's
        if self.problem is None and not getattr(self._thread, "busy", False):
            try:
                with self.unrecorded():  # recording an op may itself run ops
                    self.record(tf.compat.as_str(op_type), inputs, outputs, op_name, graph)
            except Exception as error:  # noqa: BLE001 - monitoring steps aside, whatever went wrong
                self.problem = error
        return outputs if graph is not None else None  # the next callback is given what this one returns

    def created(self, op: Any) -> None:
        """An op was created past the op callbacks."""
        self._on_op(op.type, op.inputs, None, op.outputs, op.name, op.graph)

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Ops inside the block are tb_numstab's own."""
        before = getattr(self._thread, "busy", False)
        self._thread.busy = True
        try:
            yield
        finally:
            self._thread.busy = before

    # ---- building sites

    def slot_of(self, tensor: Any) -> int:
        """The slot of a tensor's elements, -1 when they are not measured."""
        return self._slots.get(tensor._id, -1)

    def alias(self, tensor: Any, slot: int) -> None:
        """Lets a tensor share the slot of the tensor whose elements it hands on."""
        self._slots[tensor._id] = slot

    def add(self, tensor: Any, site: OpSite) -> int:
        """Appends a site that measures ``tensor``; returns its slot."""
        slot = len(self.sites)
        self.sites.append(site)
        self.alias(tensor, slot)
        return slot

    def describe(self, op_type: str, name: str, inputs: Sequence[Any], traceback: Any = None) -> OpSite:
        """A site with everything but what depends on the output."""
        where = stack.context()
        for owner in where.owners:
            self._owners.setdefault(id(owner), owner)
        links = tuple(self.slot_of(i) for i in inputs)
        forward = self.forward_slot() if where.backprop else -1
        if forward >= 0:  # a gradient is shown at the line of what it differentiates
            frames, layer = self.sites[forward].frames, self.sites[forward].layer
            self._mark_differentiated(forward)
        else:
            frames, layer = where.frames(traceback), where.layer
        site = OpSite(op_type, name, inputs=links, frames=frames, layer=layer)
        if op_type in FROM_ITERATOR:  # the user's data, as an argument is
            site = dataclasses.replace(site, role=Role.INPUT, inputs=())
        elif where.backprop:
            site = dataclasses.replace(site, role=Role.GRADIENT, gradient_of=forward)
        elif any(self._follows_gradients(s) for s in links):
            site = dataclasses.replace(site, role=Role.OPTIMIZER)
        return site

    def _follows_gradients(self, slot: int) -> bool:
        if slot < 0:
            return False
        site = self.sites[slot]
        if site.role is Role.UPDATE:  # Adam's moments, read again right after their update
            return self._follows_gradients(site.inputs[-1])
        return site.role in _AFTER_GRADIENTS

    def remember(self, op_type: str, inputs: Sequence[Any], slot: int) -> None:
        """Lets a gradient find its forward op by type and inputs."""
        self._by_inputs[op_type, tuple(i._id for i in inputs)] = slot
        self._by_type.setdefault(op_type, []).append(slot)

    def _mark_differentiated(self, slot: int) -> None:
        self._differentiated.add(slot)
        # A gradient penalty uses gradients inside the loss; what is differentiated is no optimizer.
        if self.sites[slot].role is Role.OPTIMIZER:
            self.sites[slot] = dataclasses.replace(self.sites[slot], role=Role.FORWARD)

    # ---- gradient links

    def forward_slot(self) -> int:
        """Slot of the forward op whose gradient this thread is building, or -1."""
        chain = getattr(self._thread, "chain", None)
        return chain[-1] if chain else -1

    @contextmanager
    def gradient_of(self, op: Any) -> Iterator[None]:
        """Marks ops created inside the block as the gradient of ``op``."""
        if not hasattr(self._thread, "chain"):
            self._thread.chain = []
        slot = self._forward_slot_of(op)
        self._thread.chain.append(self.forward_slot() if slot < 0 else slot)
        try:
            yield
        finally:
            self._thread.chain.pop()

    def _forward_slot_of(self, op: Any) -> int:
        for tensor in op.outputs or ():  # the tape drops what the gradient does not need
            slot = self._slots.get(getattr(tensor, "_id", None), -1)
            if slot >= 0:
                return slot
        inputs = tuple(getattr(i, "_id", None) for i in op.inputs or ())
        slot = self._by_inputs.get((op.type, inputs), -1)
        return slot if slot >= 0 or any(i is not None for i in inputs) else self._latest_in_scope(op.type)

    def _latest_in_scope(self, op_type: str) -> int:
        """A linear op's gradient needs none of its tensors, so the tape drops them all.

        Backpropagation goes through the ops in reverse, inside the name scope of the forward pass.
        """
        scope = ops.get_name_scope().removeprefix("gradient_tape").strip("/")
        for slot in reversed(self._by_type.get(op_type, ())):
            if slot not in self._differentiated and self.sites[slot].name.startswith(scope):
                return slot
        return -1

    # ---- variables

    def note_variable(self, handle: Any) -> int:
        """Remembers the variable whose method is touching ``handle`` now; returns the handle's id."""
        if id(handle) not in self._variables:
            variable = owner_of(handle, "_handle")
            if variable is not None:
                self._variables[id(handle)] = variable
        return id(handle)

    def is_trained(self, handle: int) -> bool:
        """Whether a noted variable is trainable."""
        return bool(getattr(self._variables.get(handle), "trainable", False))

    def with_variable(self, site: OpSite, handle: int, paths: Mapping[int, str] | None = None) -> OpSite:
        """The site with the name of the variable it reads or updates: its Keras path, if it has one.

        ``paths`` is from ``variable_paths``, for those who ask for many: that looks at every variable there is.
        """
        variable = self._variables.get(handle)
        if variable is None:
            return site
        paths = self.variable_paths() if paths is None else paths
        name = paths.get(handle, variable.name.split(":")[0])
        return dataclasses.replace(site, variable=name, trainable=self.is_trained(handle))

    def variable_paths(self) -> dict[int, str]:
        """Keras paths by id of the variable's resource handle, from the layers and optimizers seen."""
        paths: dict[int, str] = {}
        for owner in self._owners.values():
            variables = getattr(owner, "variables", ())
            for variable in () if callable(variables) else variables or ():  # older optimizers have a method
                value = getattr(variable, "_value", None)
                handle = getattr(value, "handle", None)
                if handle is not None and isinstance(getattr(variable, "path", None), str):
                    paths[id(handle)] = variable.path
        return paths


def owner_of(handle: Any, attribute: str) -> Any:
    """The object whose method is touching ``handle`` now and has it as ``attribute``; None without one."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_OWNER_FRAMES):
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        if getattr(owner, attribute, None) is handle:
            return owner
        frame = frame.f_back
    return None


def static_shape(tensor: Any) -> tuple[int, ...] | None:
    """A tensor's shape as in OpSite: -1 for an unknown dimension, None for an unknown rank."""
    return None if tensor.shape.rank is None else tuple(-1 if d is None else d for d in tensor.shape.as_list())


def constant_site(tensor: Any, name: str) -> OpSite:
    """The site of a literal, with its row."""
    row, _ = measure(np.asarray(tensor_util.constant_value(tensor)))
    shape = static_shape(tensor)
    return OpSite("Const", name, dtype=tensor.dtype.name, shape=shape, role=Role.CONSTANT, constant=tuple(row))
