"""The one question asked after an ordinary step: did anything non-finite come out?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass
class Verdict:
    """The sentinel's answer for one step, perhaps still on the device.

    Attributes:
      labels: what was asked about.
      seen: for the first of them, those in host memory, whether they are non-finite.
      asked: the same for the others, bool []; None without any.
    """

    labels: list[Label]
    seen: list[bool]
    asked: Any

    def on_host(self) -> bool:
        """Whether reading the answer makes nobody wait."""
        return self.asked is None or "CPU" in self.asked.device

    def flagged(self) -> set[Label]:
        """What it calls non-finite."""
        flags = [*self.seen, *([] if self.asked is None else np.asarray(self.asked))]
        return {label for label, flag in zip(self.labels, flags, strict=True) if flag}


class Sentinel:
    """A small graph beside the training's own, one reduction per watched tensor.

    A variable counts as non-finite when its sum is: NaN and Inf survive a sum, and one pass without
    temporaries is the cheapest there is. A finite variable whose sum overflows is sorted out on the
    host, by ``nonfinite``. A returned scalar may be neither NaN nor Inf; a larger returned tensor may
    hold Inf (a masked logit), but no NaN. A scalar in host memory, the usual loss, is looked at: to ask
    the graph costs more.
    """

    def __init__(self) -> None:
        self._checks: dict[tuple[Any, ...], Any] = {}

    def check(self, outputs: Sequence[Any], handles: Sequence[Any]) -> Verdict | None:
        """Starts the check of a step's outputs, tensors or numbers, and of the variables that it updated.

        Returns:
          the answer to come, for which the host need not wait; None when there is nothing to check.
        """
        scalars: dict[Label, Any] = {}
        tensors: dict[Label, Any] = {}
        for i, value in enumerate(outputs):
            if isinstance(value, (float, np.floating)):
                scalars["output", i] = value
            elif tf.is_tensor(value) and is_measured(value.dtype.name):
                if value.shape.rank == 0 and "CPU" in value.device:
                    scalars["output", i] = value._numpy()
                else:
                    tensors["output", i] = value
        labels: list[Label] = [*scalars, *tensors, *(("variable", id(h)) for h in handles)]
        if not labels:
            return None
        asked = self._ask(list(tensors.values()), handles) if tensors or handles else None
        return Verdict(labels, [not math.isfinite(value) for value in scalars.values()], asked)

    def _ask(self, tensors: list[Any], handles: Sequence[Any]) -> Any:
        key = (tuple(id(h) for h in handles), tuple((t.dtype, t.shape.rank) for t in tensors))
        check = self._checks.get(key)
        if check is None:
            check = self._checks[key] = _build(tuple(handles), tensors)
        return check._call_flat(tensors, check.captured_inputs)


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
