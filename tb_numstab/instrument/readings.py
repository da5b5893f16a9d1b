"""The tensors of an eager step on their way to rows: measured as they come, or kept until somebody asks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from tb_numstab.instrument.collector import Collector, Rows
from tb_numstab.instrument.counters import measure
from tb_numstab.instrument.op_types import is_update
from tb_numstab.instrument.operands import count_events, count_update
from tb_numstab.schema.columns import Row

KEPT_BYTES = 256 << 20
"""What may be kept of a step. Beyond it, what was kept so far is summed up, and dropped if finite."""


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


@dataclass
class Readings:
    """The readings of one step.

    Attributes:
      at_once: measure each as it comes; otherwise keep it until ``rows``.
    """

    at_once: bool
    _collector: Collector = field(default_factory=Collector)
    _kept: list[Reading] = field(default_factory=list)
    _bytes: int = 0

    def take(self, reading: Reading) -> None:
        """Adds a reading."""
        if self.at_once:
            self._measure(reading)
            return
        self._kept.append(reading)
        self._bytes += reading.tensor._num_elements() * reading.tensor.dtype.size
        if self._bytes > KEPT_BYTES:
            self._settle()

    def rows(self, count: int) -> Rows:
        """The rows of slots 0..count-1."""
        for reading in self._kept:
            self._measure(reading)
        self._kept = []
        return self._collector.finish(count)

    def _settle(self) -> None:
        with record.stop_recording():
            finite = all(math.isfinite(tf.reduce_sum(r.tensor)) for r in self._kept)
        if not finite:
            for reading in self._kept:
                self._measure(reading)
        self._kept, self._bytes = [], 0

    def _measure(self, reading: Reading) -> None:
        array = host_array(reading.tensor)
        row, histogram = measure(array)
        operands = [host_array(t) for t in reading.operands]
        if operands and is_update(reading.op_type):
            count_update(row, array, operands)
        elif operands:
            count_events(reading.op_type, row, array, operands)
        self._collector.add(reading.slot, row, histogram)


def host_array(tensor: Any) -> Row:
    """An eager tensor's elements, without a copy where they are in host memory."""
    return np.asarray(tensor._numpy())
