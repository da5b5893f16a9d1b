"""Where events go: TensorFlow's two kinds of summary writers."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from tb_numstab.schema.names import PLUGIN_NAME


class Sink(Protocol):
    """Takes events of one run."""

    def write(self, tag: str, data: bytes, step: int) -> None:
        """Adds one event: a scalar string tensor under ``tag``."""

    def flush(self) -> None:
        """Sees to it that readers can see everything written so far."""


class SummarySink:
    """A tf.summary writer of the user's; it lives no longer than they want."""

    def __init__(self, writer: Any) -> None:
        self._writer = weakref.ref(writer)

    def write(self, tag: str, data: bytes, step: int) -> None:
        writer = self._writer()
        if writer is not None:
            with writer.as_default(), tf.summary.record_if(True):
                tf.summary.write(tag, tf.constant(data), step=step, metadata=_metadata())

    def flush(self) -> None:
        writer = self._writer()
        if writer is not None:
            writer.flush()


def removed_files() -> list[str]:
    """Event files whose folder was removed: TensorFlow goes on writing them and notices nothing (Linux only)."""
    paths = []
    with contextlib.suppress(OSError):
        for descriptor in os.scandir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                target = os.readlink(descriptor.path)
                path = target.removesuffix(" (deleted)")
                if path != target and "tfevents" in path and not os.path.isdir(os.path.dirname(path)):
                    paths.append(path)
    return paths


def before_closing(writer: Any, act: Callable[[], None]) -> None:
    """Calls ``act`` before the user closes a writer, which lives no longer for it."""
    close, alive = type(writer).close, weakref.ref(writer)

    def act_and_close() -> Any:
        act()
        return close(alive())

    writer.close = act_and_close


class FileSink:
    """An event file of our own, for graphs and sessions: it needs no eager execution."""

    def __init__(self, log_dir: str) -> None:
        with tf.Graph().as_default():  # TensorFlow refuses this writer where ops run eagerly
            self._writer = tf.compat.v1.summary.FileWriter(log_dir)

    def write(self, tag: str, data: bytes, step: int) -> None:
        event = tf.compat.v1.Event(wall_time=time.time(), step=step)
        event.summary.value.add(tag=tag, tensor=tf.make_tensor_proto(data), metadata=_metadata())
        self._writer.add_event(event)

    def flush(self) -> None:
        self._writer.flush()


def _metadata() -> Any:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = PLUGIN_NAME
    metadata.data_class = 2  # DATA_CLASS_TENSOR of tensorboard's summary.proto, which TensorFlow does not export
    return metadata
