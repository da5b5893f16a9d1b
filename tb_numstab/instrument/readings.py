"""The tensors of an eager step on their way to rows: measured as they come, or kept until somebody asks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from tb_numstab.instrument.bits import Array
from tb_numstab.instrument.bucket import BUCKET_BYTES, BUCKET_TENSORS
from tb_numstab.instrument.collector import Collector, Rows, Work

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
      at_once: measure them as they come, a bucket at a time; otherwise keep them until ``rows``.
    """

    at_once: bool
    _collector: Collector = field(default_factory=Collector)
    _kept: list[Reading] = field(default_factory=list)
    _bytes: int = 0

    def take(self, reading: Reading) -> None:
        """Adds a reading."""
        self._kept.append(reading)
        self._bytes += reading.tensor._num_elements() * reading.tensor.dtype.size
        if self.at_once and (self._bytes > BUCKET_BYTES or len(self._kept) >= BUCKET_TENSORS):
            self._measure()
        elif self._bytes > KEPT_BYTES:
            self._settle()

    def rows(self, count: int) -> Rows:
        """The rows of slots 0..count-1."""
        self._measure()
        return self._collector.finish(count)

    def _settle(self) -> None:
        with record.stop_recording():
            finite = all(math.isfinite(tf.reduce_sum(r.tensor)) for r in self._kept)
        if not finite:
            self._measure()
        self._kept, self._bytes = [], 0

    def _measure(self) -> None:
        """Measures what is kept, no slot twice in one go: an op may have run several times."""
        work: dict[int, Work] = {}
        for slot, op_type, tensor, operands in self._kept:
            if slot in work:
                self._collector.measure([*work.values()])
                work = {}
            work[slot] = Work(slot, op_type, host_array(tensor), [host_array(t) for t in operands])
        if work:
            self._collector.measure([*work.values()])
        self._kept, self._bytes = [], 0


def host_array(tensor: Any) -> Array:
    """An eager tensor's elements, without a copy where they are in host memory."""
    return np.asarray(tensor._numpy())
