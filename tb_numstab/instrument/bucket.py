"""Tensors of a twin's graph on their way to the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record

from tb_numstab.instrument.collector import Collector, Entry

BUCKET_BYTES = 8 << 20
BUCKET_TENSORS = 128
"""A bucket of tensors goes to the host at once: fewer graph nodes, and no tensor is held for long."""

WAITING = 2
"""Buckets that may wait for the host: it counts more slowly than the step computes, and every tensor in a
bucket keeps its memory until it is counted."""

HELD_BACK = 1 << 18
"""Bytes of an op's results from which it waits for its turn."""

UNKNOWN_BYTES = 1 << 20
"""What a tensor of unknown shape counts for in a bucket."""


class Bucket:
    """Tensors on their way to one host call."""

    def __init__(self, looped: bool = False) -> None:
        """``looped`` marks the body of a loop, which may run many times in a step."""
        self._looped = looped
        self.tensors: list[Any] = []
        self.entries: list[Entry] = []
        self.bytes = 0
        self._index: dict[int, int] = {}

    def index(self, tensor: Any) -> int:
        """Position of a tensor among those the sink receives."""
        if tensor._id not in self._index:
            self._index[tensor._id] = len(self.tensors)
            self.tensors.append(tensor)
            self.bytes += _bytes_of(tensor)
        return self._index[tensor._id]

    @property
    def full(self) -> bool:
        """Whether it is time to send it."""
        return self.bytes >= BUCKET_BYTES or len(self.tensors) >= BUCKET_TENSORS

    def take(self, other: Bucket) -> None:
        """Takes over what another one holds."""
        self.tensors, self.entries = other.tensors, other.entries

    def send(self, collect: Callable[[], Collector]) -> Any:
        """Adds the op that hands the tensors to the collector of the run, in the current graph; None if it is empty."""
        entries, looped = tuple(self.entries), self._looped
        if not entries:
            return None

        def sink(*tensors: Any) -> None:
            collect().sink(entries, tensors, looped)

        with tf.control_dependencies(None), tf.name_scope("numstab/"), tf.device("CPU:0"), record.stop_recording():
            return tf.numpy_function(sink, self.tensors, [])


def hold_back(op: Any, sent: Sequence[Any]) -> None:
    """Makes a new op with large results wait until the host has caught up with the buckets ``sent`` so far."""
    if len(sent) >= WAITING and sum(map(_bytes_of, op.outputs)) >= HELD_BACK:
        op._add_control_input(sent[-WAITING])


def _bytes_of(tensor: Any) -> int:
    elements = tensor.shape.num_elements()
    return UNKNOWN_BYTES if elements is None else int(elements * tensor.dtype.size)
