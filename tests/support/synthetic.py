"""Writes op sites and step records as a TensorBoard run, without TensorFlow.

    with Recorder(logdir / "train") as run:
        run.ops(sites)
        run.step(record)

Everything is deterministic: fixed session id, wall times and file name.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from tb_numstab.schema.columns import INDEX, empty_rows
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.names import PLUGIN_NAME, ops_tag, steps_tag
from tb_numstab.schema.op_table import OpTableChunk, encode_ops
from tb_numstab.schema.ops import Frame, OpSite
from tb_numstab.schema.record import StepRecord, encode_record

SESSION = "20250102T030405-0badcafe"
START = 1735787045.0
"""Wall time of step 0, in seconds since the epoch; steps follow one second apart."""


def framed(data: bytes) -> bytes:
    """One record as an event file holds it: length, its checksum, the data, its checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


class Recorder:
    """One event file of one session of one run.

    Args:
      logdir: the run's folder; made if missing.
      session: the session id.
      start: wall time of step 0, in seconds.
    """

    def __init__(self, logdir: Path, session: str = SESSION, worker: str = "", start: float = START) -> None:
        logdir.mkdir(parents=True, exist_ok=True)
        self.session, self.worker, self.start = session, worker, start
        self.path = logdir / f"events.out.tfevents.{int(start)}.testhost.{session}{worker}.v2"
        self._file = self.path.open("wb")
        self._slots = self._chunks = self._records = 0
        self._write(event_pb2.Event(wall_time=start, file_version="brain.Event:2"))

    def ops(self, sites: Sequence[OpSite]) -> Self:
        """Writes the next chunk of the op table; slots go on where the last chunk ended."""
        chunk = OpTableChunk(self.session, self._slots, tuple(sites), self.worker)
        self.event(ops_tag(self.session, self._chunks), encode_ops(chunk), step=0, wall_time=self.start)
        self._slots += len(sites)
        self._chunks += 1
        return self

    def step(self, record: StepRecord) -> Self:
        """Writes one step record."""
        self._records += 1
        return self.event(steps_tag(self.session), encode_record(record), record.step, record.wall_time)

    def event(
        self,
        tag: str,
        data: bytes,
        step: int,
        wall_time: float,
        plugin: str = PLUGIN_NAME,
        data_class: summary_pb2.DataClass.ValueType = summary_pb2.DATA_CLASS_TENSOR,
    ) -> Self:
        """Writes any bytes under any tag, as a scalar string tensor: for damaged and foreign data."""
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[data])
        tensor.tensor_shape.SetInParent()
        return self.tensor(tag, tensor, step, wall_time, plugin, data_class)

    def tensor(
        self,
        tag: str,
        tensor: tensor_pb2.TensorProto,
        step: int,
        wall_time: float,
        plugin: str = PLUGIN_NAME,
        data_class: summary_pb2.DataClass.ValueType = summary_pb2.DATA_CLASS_TENSOR,
    ) -> Self:
        """Writes any tensor under any tag."""
        event = event_pb2.Event(wall_time=wall_time, step=step)
        value = event.summary.value.add(tag=tag, tensor=tensor)
        value.metadata.data_class = data_class
        value.metadata.plugin_data.plugin_name = plugin
        self._write(event)
        return self

    def flush(self) -> None:
        """Makes what was written visible to readers."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, event: event_pb2.Event) -> None:
        self._file.write(framed(event.SerializeToString()))


def scaled_run(logdir: Path, slots: int, records: int, session: str = SESSION, seed: int = 0) -> Recorder:
    """A healthy run of any size: a chain of MatMul, BiasAdd and Relu with plausible float32 ranges.

    Args:
      logdir: the run's folder.
      slots: length of the op table; each record measures all of it.
      records: how many steps.
      session: the session id.
      seed: of the ranges.
    """
    generator = np.random.default_rng(seed)
    with Recorder(logdir, session) as run:
        for first in range(0, slots, 10_000):
            run.ops([_chain_site(slot) for slot in range(first, min(first + 10_000, slots))])
        for step in range(records):
            run.step(_chain_record(session, step, slots, generator))
    return run


def _chain_site(slot: int) -> OpSite:
    op_type = ("MatMul", "BiasAdd", "Relu")[slot % 3]
    layer = f"sequential/dense_{slot // 3}"
    line = Frame("train.py", 10 + slot // 3, "train_step", f"h = tf.nn.relu(dense_{slot // 3}(h))")
    return OpSite(
        op_type, f"{layer}/{op_type}", shape=(-1, 64), inputs=(slot - 1,) if slot else (), frames=(line,), layer=layer
    )


def _chain_record(session: str, step: int, slots: int, generator: np.random.Generator) -> StepRecord:
    rows = empty_rows(slots)
    largest = generator.normal(2.0, 1.5, slots).clip(-20, 20)
    relu = np.arange(slots) % 3 == 2
    rows[:, INDEX["size"]] = 4096
    for name in ("nan", "pos_inf", "neg_inf", "subnormal"):
        rows[:, INDEX[name]] = 0
    rows[:, INDEX["zero"]] = np.where(relu, 2048, 0)
    rows[:, INDEX["negative"]] = np.where(relu, 0, 2048)
    rows[:, INDEX["max_exp"]] = np.floor(largest)
    rows[:, INDEX["min_exp"]] = np.floor(largest) - 12
    rows[:, INDEX["max"]] = np.exp2(largest)
    rows[:, INDEX["min"]] = np.where(relu, 0.0, -np.exp2(largest))
    rows[:, INDEX["sum_sq"]] = 512 * np.exp2(2 * largest)
    rows[:, INDEX["calls"]] = 1
    histogram = np.zeros((slots, HISTOGRAM_BINS), np.uint8)
    # float32: bin i holds exponents -149 + 4 * i and the three above.
    top = ((np.floor(largest).astype(int) + 149) // 4)[:, None]
    np.put_along_axis(histogram, np.hstack([top, top - 1, top - 2, top - 3]), [190, 50, 14, 1], axis=1)
    return StepRecord(session, step, START + step, np.arange(slots), rows, histogram, records_before=step)
