"""Copies of a function's variables: what lets a step run twice and train once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops import gen_resource_variable_ops

from tb_numstab.instrument.op_types import is_measured

Handles = dict[int, Any]
"""Variable handles by the id of the handle they stand for."""


def is_variable(tensor: Any) -> bool:
    """True for an eager resource handle that holds a variable (and no iterator, table or queue)."""
    if not isinstance(tensor, tf.__internal__.EagerTensor) or tensor.dtype != tf.resource:
        return False
    data = tensor._handle_data
    return data is not None and bool(data.is_set) and len(data.shape_and_type) == 1


class Shadow:
    """The values of some variables at one moment.

    Reading a variable shares its buffer until somebody writes, so a snapshot costs memory only for what
    the steps after it change.

    Attributes:
      handles: the variables' own handles, by their id.
    """

    def __init__(self, tensors: Iterable[Any] = (), stand_ins: Mapping[int, Any] | None = None) -> None:
        """Takes the snapshot of every variable whose handle is among ``tensors``.

        Args:
          tensors: any tensors; those that are no variable handles are passed over.
          stand_ins: variables to read instead, by id of the handle they stand for.
        """
        self.handles: Handles = {}
        self._values: dict[int, Any] = {}
        self.include(tensors, stand_ins)

    def include(self, tensors: Iterable[Any], stand_ins: Mapping[int, Any] | None = None) -> None:
        """Adds the variables among ``tensors`` that the snapshot does not hold yet."""
        for handle in tensors:
            if id(handle) not in self.handles and is_variable(handle):
                self.handles[id(handle)] = handle
                self._values[id(handle)] = read((stand_ins or {}).get(id(handle), handle))

    def host_values(self) -> dict[int, Any]:
        """Host arrays of the measured values, by id of the variable's handle."""
        return {
            key: np.asarray(value._numpy())
            for key, value in self._values.items()
            if value is not None and is_measured(value.dtype.name)
        }

    def variables(self) -> Handles:
        """Fresh variables that start from the snapshot; they live as long as the returned handles."""
        return {key: _fresh(handle, self._values[key]) for key, handle in self.handles.items()}


def replaced(tensors: Sequence[Any], stand_ins: Mapping[int, Any]) -> list[Any]:
    """``tensors`` with each variable handle that has a stand-in replaced by it."""
    return [stand_ins.get(id(t), t) for t in tensors]


def read(handle: Any) -> Any:
    """A variable's value now, which later updates do not change; None before its initialization."""
    try:
        return gen_resource_variable_ops.read_variable_op(handle, _dtype(handle))
    except tf.errors.FailedPreconditionError:
        return None


def assign(handle: Any, value: Any) -> None:
    """Gives a variable a value that ``read`` returned."""
    if value is not None:
        gen_resource_variable_ops.assign_variable_op(handle, value)


def _dtype(handle: Any) -> Any:
    return tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)


def _fresh(handle: Any, value: Any) -> Any:
    shape = tf.TensorShape(handle._handle_data.shape_and_type[0].shape)
    with tf.device(handle.device):
        fresh = gen_resource_variable_ops.var_handle_op(
            dtype=_dtype(handle), shape=shape, shared_name=context.anonymous_name()
        )
        fresh._handle_data = handle._handle_data
        assign(fresh, value)
    return fresh
