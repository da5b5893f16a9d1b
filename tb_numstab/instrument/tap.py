"""A tap on a tf.data iterator: the step pulls through it, and what it pulled can be had again.

A tap never leaves TensorFlow's runtime: an element that came by Python would cost twenty times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops, map_op
from tensorflow.python.data.util import structure
from tensorflow.python.eager import context

CALL_BYTES = 2 << 30
"""What is kept of one call: a machine that trains can spare it, but not a whole data set."""

_OPTIONS = tf.data.Options()
"""Nothing may run ahead: an element pulled early would be lost to the training."""
_OPTIONS.experimental_optimization.apply_default_optimizations = False
_OPTIONS.experimental_optimization.inject_prefetch = False
_OPTIONS.autotune.enabled = False
_OPTIONS.experimental_slack = False

_ops = tf.raw_ops


class TooLarge(Exception):
    """One call pulled more than can be kept."""


class Tap:
    """Stands between one iterator and the step: hands its elements on and keeps them.

    Attributes:
      iterator: what the training pulls from instead.
    """

    def __init__(self, source: Any) -> None:
        self._spec, self._device = source.element_spec, source._iterator_resource.device
        with tf.device(self._device):
            none = _ops.EmptyTensorList(element_dtype=tf.variant, element_shape=-1, max_num_elements=-1)
            self._nothing = none, tf.constant(0, tf.int64)
            self._kept, self._bytes = map(_variable, self._nothing)
            pull = partial(_pull, source._iterator_resource, self._spec, self._kept, self._bytes)
            self.iterator = _iterator(tf.data.Dataset.from_tensors(0).repeat(), pull, self._spec)

    def start(self) -> None:
        """Forgets what was kept."""
        for variable, nothing in zip((self._kept, self._bytes), self._nothing, strict=True):
            _ops.AssignVariableOp(resource=variable, value=nothing)

    def replay(self) -> Replay:
        """What was pulled since the start.

        Raises:
          TooLarge: it is more than CALL_BYTES.
        """
        nbytes = int(_ops.ReadVariableOp(resource=self._bytes, dtype=tf.int64)._numpy())
        if nbytes > CALL_BYTES:
            self.start()
            raise TooLarge("one call takes more than 2 GB from its iterator; let it make fewer steps")
        kept = _ops.ReadVariableOp(resource=self._kept, dtype=tf.variant)
        return Replay(kept, nbytes, self._spec, self._device)


class Replay:
    """The elements that one run pulled from one iterator.

    Attributes:
      nbytes: the memory they take.
    """

    def __init__(self, kept: Any, nbytes: int, spec: Any, device: str) -> None:
        """Takes a list of optionals, one for each element, and the spec of an element."""
        self.nbytes = nbytes
        self._kept, self._spec, self._device = kept, spec, device

    def iterator(self) -> Any:
        """A tf.data iterator over them."""
        with tf.device(self._device):
            count = int(_ops.TensorListLength(input_handle=self._kept))
            return _iterator(tf.data.Dataset.range(count), partial(_give, self._kept, self._spec), self._spec)


def _pull(source: Any, spec: Any, kept: Any, nbytes: Any, _: Any) -> Any:
    """Pulls an element from the iterator ``source``, and adds it to the list in the variable ``kept``."""
    # The synchronous op: another thread to wait for would cost as much as all the rest.
    parts = _ops.IteratorGetNextSync(iterator=source, **_flat(spec))
    element = structure.from_compatible_tensor_list(spec, parts)
    sizes = [_nbytes(t) for t in tf.nest.flatten(element, expand_composites=True) if tf.is_tensor(t)]
    total = _ops.ReadVariableOp(resource=nbytes, dtype=tf.int64) + tf.reduce_sum(sizes)
    _ops.AssignVariableOp(resource=nbytes, value=total)
    optionals = _ops.TensorListPushBack(
        input_handle=_ops.ReadVariableOp(resource=kept, dtype=tf.variant),
        tensor=_ops.OptionalFromValue(components=parts),
    )
    # What is too much leaves the list again: a function that runs in one thread must do without tf.cond.
    count = _ops.TensorListLength(input_handle=optionals)
    optionals = _ops.TensorListResize(input_handle=optionals, size=tf.where(total > CALL_BYTES, count - 1, count))
    _ops.AssignVariableOp(resource=kept, value=optionals)
    return tuple(parts)


def _give(kept: Any, spec: Any, index: Any) -> Any:
    """Looks up an element in the list ``kept``."""
    optional = _ops.TensorListGetItem(
        input_handle=kept, index=tf.cast(index, tf.int32), element_shape=[], element_dtype=tf.variant
    )
    return tuple(_ops.OptionalGetValue(optional=optional, **_flat(spec)))


def _iterator(indices: Any, element: Callable[[Any], Any], spec: Any) -> Any:
    """An iterator over ``element(index)``, flat, for each index, until that raises OutOfRangeError."""
    dataset = map_op._MapDataset(
        indices,
        tf.autograph.experimental.do_not_convert(element),
        force_synchronous=True,
        use_inter_op_parallelism=False,
        preserve_cardinality=False,
    )
    resource = iter(dataset.with_options(_OPTIONS))._iterator_resource
    return iterator_ops.OwnedIterator(components=[resource], element_spec=spec)


def _flat(spec: Any) -> dict[str, Any]:
    return {
        "output_types": structure.get_flat_tensor_types(spec),
        "output_shapes": structure.get_flat_tensor_shapes(spec),
    }


def _nbytes(tensor: Any) -> Any:
    """How many bytes a tensor holds, text included; int64 []."""
    if tensor.dtype == tf.string:
        return tf.reduce_sum(tf.cast(tf.strings.length(tensor), tf.int64))
    return tf.size(tensor, tf.int64) * tensor.dtype.size


def _variable(value: Any) -> Any:
    handle = _ops.VarHandleOp(dtype=value.dtype, shape=[], shared_name=context.anonymous_name())
    _ops.AssignVariableOp(resource=handle, value=value)
    return handle
