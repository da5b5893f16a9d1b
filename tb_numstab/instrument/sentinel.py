"""The one question asked after an ordinary step: did anything non-finite come out?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import gen_resource_variable_ops

from tb_numstab.instrument.counters import measure
from tb_numstab.instrument.op_types import is_measured
from tb_numstab.instrument.shadow import read
from tb_numstab.schema.columns import INDEX

Label = tuple[str, int]
"""What a flag is about: ("output", its position) or ("variable", id of its handle)."""


class Sentinel:
    """A small graph beside the training's own, one reduction per watched tensor.

    A variable counts as non-finite when its sum is: NaN and Inf survive a sum, and one pass without
    temporaries is the cheapest there is. A finite variable whose sum overflows is sorted out on the
    host, by ``nonfinite``. A returned scalar may be neither NaN nor Inf; a larger returned tensor may
    hold Inf (a masked logit), but no NaN.
    """

    def __init__(self) -> None:
        self._checks: dict[tuple[Any, ...], Any] = {}

    def check(self, outputs: Sequence[Any], handles: Sequence[Any]) -> tuple[list[Label], Any] | None:
        """Starts the check of a step's outputs and updated variables.

        Returns:
          labels, and a bool tensor or list [len(labels)] that is True where something is non-finite; the
          host need not wait for it. None when there is nothing to check.
        """
        floats = [(i, t) for i, t in enumerate(outputs) if tf.is_tensor(t) and is_measured(t.dtype.name)]
        labels: list[Label] = [("output", i) for i, _ in floats] + [("variable", id(h)) for h in handles]
        if not labels:
            return None
        if not handles and all(t.shape.rank == 0 and "CPU" in t.device for _, t in floats):
            # The usual case, a loss in host memory: dearer to ask the graph than to look.
            return labels, [not math.isfinite(t._numpy()) for _, t in floats]
        key = (tuple(id(h) for h in handles), tuple((t.dtype, t.shape.rank) for _, t in floats))
        if key not in self._checks:
            self._checks[key] = _build(tuple(handles), [t for _, t in floats])
        return labels, self._checks[key](*(t for _, t in floats))


def nonfinite(outputs: Sequence[Any], variables: Mapping[int, Any]) -> set[Label]:
    """The sentinel's question answered on the host, element by element.

    Args:
      outputs: flat outputs of a step.
      variables: handles to read, by the id that labels them.
    """
    found: set[Label] = set()
    for index, tensor in enumerate(outputs):
        if tf.is_tensor(tensor) and is_measured(tensor.dtype.name):
            nan, infinite = _bad_elements(tensor)
            if nan or (infinite and tensor.shape.rank == 0):
                found.add(("output", index))
    for key, handle in variables.items():
        if any(_bad_elements(read(handle))):
            found.add(("variable", key))
    return found


def _bad_elements(tensor: Any) -> tuple[float, float]:
    """Counts of NaN and of Inf."""
    array = np.asarray(tensor._numpy())
    row, _ = measure(array)
    return row[INDEX["nan"]], row[INDEX["pos_inf"]] + row[INDEX["neg_inf"]]


def _build(handles: tuple[Any, ...], outputs: Sequence[Any]) -> Any:
    def check(*tensors: Any) -> Any:
        flags = [~tf.math.is_finite(t) if t.shape.rank == 0 else tf.reduce_any(tf.math.is_nan(t)) for t in tensors]
        for handle in handles:
            dtype = tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)
            value = gen_resource_variable_ops.read_variable_op(handle, dtype)
            flags.append(~tf.math.is_finite(tf.reduce_sum(value)))
        return tf.stack(flags)

    signature = [tf.TensorSpec([None] * t.shape.rank if t.shape.rank is not None else None, t.dtype) for t in outputs]
    return tf.function(check, input_signature=signature, autograph=False).get_concrete_function()
