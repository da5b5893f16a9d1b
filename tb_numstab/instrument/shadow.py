"""Copies of a function's variables: what lets a step run twice and train once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops import gen_resource_variable_ops

from tb_numstab.instrument.op_types import is_measured


def is_variable(tensor: Any) -> bool:
    """True for an eager resource handle that holds a variable (and no iterator, table or queue)."""
    if not isinstance(tensor, tf.__internal__.EagerTensor) or tensor.dtype != tf.resource:
        return False
    data = tensor._handle_data
    return data is not None and bool(data.is_set) and len(data.shape_and_type) == 1


class Shadow:
    """The values of some variables at one moment, and stand-ins that start from them.

    Reading a variable shares its buffer until somebody writes, so a snapshot costs memory only for what
    the step changes.
    """

    def __init__(self, tensors: Iterable[Any]) -> None:
        """Takes the snapshot of every variable whose handle is among ``tensors``."""
        self._handles = {id(t): t for t in tensors if is_variable(t)}
        self._values = {key: _read(handle) for key, handle in self._handles.items()}

    def host_values(self) -> dict[int, Any]:
        """Host arrays of the measured values, by id of the variable's handle."""
        return {
            key: np.asarray(value._numpy())
            for key, value in self._values.items()
            if value is not None and is_measured(value.dtype.name)
        }

    def stand_ins(self, tensors: Sequence[Any]) -> list[Any]:
        """``tensors`` with each variable's handle replaced by that of a fresh variable with its value.

        The fresh variables live as long as the returned list.
        """
        fresh = {key: _fresh(handle, self._values[key]) for key, handle in self._handles.items()}
        return [fresh.get(id(t), t) for t in tensors]


def _dtype(handle: Any) -> Any:
    return tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)


def _read(handle: Any) -> Any:
    """A variable's value now, which later updates do not change; None before its initialization."""
    if not gen_resource_variable_ops.var_is_initialized_op(handle):
        return None
    return gen_resource_variable_ops.read_variable_op(handle, _dtype(handle))


def _fresh(handle: Any, value: Any) -> Any:
    shape = tf.TensorShape(handle._handle_data.shape_and_type[0].shape)
    with tf.device(handle.device):
        fresh = gen_resource_variable_ops.var_handle_op(
            dtype=_dtype(handle), shape=shape, shared_name=context.anonymous_name()
        )
        if value is not None:
            gen_resource_variable_ops.assign_variable_op(fresh, value)
    return fresh
