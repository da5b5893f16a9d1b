"""StepRecord <-> bytes. A record holds one row per measured slot; schema/table.py packs the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema import table
from tb_numstab.schema.columns import INDEX, WIDTH, Row
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.messages import clipped, parse
from tb_numstab.schema.names import SCHEMA_VERSION
from tb_numstab.schema.table import MAX_SLOTS, RecordError

MAX_NOTES = 20


@dataclass(frozen=True)
class StepRecord:
    """What one step measured.

    Attributes:
      session, worker: who measured; worker is "" in a one-process run.
      step: the training step given to ``log_step``.
      wall_time: seconds since the epoch.
      kind: ``"survey"`` (a scheduled measurement) or ``"replay"`` (a step run again after its result
        was found non-finite).
      notes: what the reader should know, such as "measured without jit".
      slots: int64 [n], ascending.
      rows: float64 [n, WIDTH] in the order of ``columns.COLUMNS``; NaN where absent.
      histogram: uint8 [n, HISTOGRAM_BINS], share of the sampled non-zero finite elements in each
        exponent bin in units of 1/255; a bin that holds any element is at least 1.
      first_nonfinite: (step, slot) where the session's first NaN or Inf began, once there is one.
      records_before: how many records this session wrote before this one.
    """

    session: str
    step: int
    wall_time: float
    slots: NDArray[np.int64]
    rows: Row
    histogram: NDArray[np.uint8]
    kind: str = "survey"
    worker: str = ""
    notes: tuple[str, ...] = ()
    first_nonfinite: tuple[int, int] | None = None
    records_before: int = 0

    def column(self, name: str) -> NDArray[np.float64]:
        """One column, float64 [n], by its name in COLUMNS."""
        return self.rows[:, INDEX[name]]

    def row_of(self, slot: int) -> int | None:
        """Which of the rows is a slot's; None where it was not measured."""
        at = int(np.searchsorted(self.slots, slot))
        return at if at < len(self.slots) and self.slots[at] == slot else None

    def expand(self, count: int) -> Row:
        """Rows by slot number, float64 [count, WIDTH]; NaN for slots this record did not measure."""
        columns = np.full((WIDTH, count), np.nan)  # column by column, as they are read
        known = int(np.searchsorted(self.slots, count))
        columns[:, self.slots[:known]] = self.rows.T[:, :known]
        return columns.T


@dataclass(frozen=True)
class RecordHeader:
    """What a record says without its table.

    Attributes:
      worker, step, records_before: as in StepRecord.
      last_slot: the largest slot it names, -1 where it names none.
    """

    worker: str
    step: int
    records_before: int
    last_slot: int


def encode_record(record: StepRecord) -> bytes:
    """The bytes of one step's summary: 10-24 bytes per slot on real models."""
    message = pb.StepRecord(
        schema=SCHEMA_VERSION,
        session=record.session,
        worker=record.worker,
        step=record.step,
        wall_time=record.wall_time,
        kind=record.kind,
        notes=record.notes,
        records_before=record.records_before,
        slots=len(record.slots),
        packed_size=len(record.slots) * table.BYTES_PER_SLOT,
        packed=table.pack(record.slots, record.rows, record.histogram),
    )
    if record.first_nonfinite is not None:
        message.first_nonfinite.step, message.first_nonfinite.slot = record.first_nonfinite
    return message.SerializeToString()


def decode_record(data: bytes) -> StepRecord:
    """The inverse of encode_record.

    Raises:
      NewerSchemaError: written by a newer version.
      RecordError: anything else that is wrong; memory stays bounded by what the header may claim.
    """
    message = _step_record(data)
    return _record(message, table.unpack(message.packed, message.slots))


def decode_readable(data: bytes) -> StepRecord:
    """As decode_record, but a damaged table counts as an empty one, and a note says so.

    For bytes whose header has been read; raises as decode_header does.
    """
    message = _step_record(data)
    try:
        return _record(message, table.unpack(message.packed, message.slots))
    except RecordError as error:
        nothing = np.empty(0, np.int64), np.empty((0, WIDTH)), np.empty((0, HISTOGRAM_BINS), np.uint8)
        message.notes.append(f"the measurements of step {message.step} could not be read: {error}")
        return _record(message, nothing)


def decode_header(data: bytes) -> RecordHeader:
    """The header of a record, in a twentieth of the time that the whole record takes.

    Raises:
      RecordError: as decode_record; but of the table only the slots are looked at.
    """
    message = _step_record(data)
    slots = table.unpack_slots(message.packed, message.slots)
    last = int(slots[-1]) if len(slots) else -1
    if message.HasField("first_nonfinite"):
        if message.first_nonfinite.slot < 0:
            raise RecordError(f"its first non-finite slot is {message.first_nonfinite.slot}")
        last = max(last, message.first_nonfinite.slot)
    return RecordHeader(clipped(message.worker), message.step, message.records_before, last)


def _step_record(data: bytes) -> pb.StepRecord:
    """The message, whose claims about its table can be trusted as far as memory goes."""
    message = pb.StepRecord()
    parse(message, data)
    if message.slots > MAX_SLOTS or message.packed_size != message.slots * table.BYTES_PER_SLOT:
        raise RecordError(f"step record claims {message.slots} slots in {message.packed_size} bytes")
    return message


def _record(message: pb.StepRecord, parts: tuple[table.Slots, Row, table.Histogram]) -> StepRecord:
    slots, rows, histogram = parts
    first = message.first_nonfinite if message.HasField("first_nonfinite") else None
    return StepRecord(
        session=message.session,
        step=message.step,
        wall_time=message.wall_time,
        slots=slots,
        rows=rows,
        histogram=histogram,
        kind=clipped(message.kind),
        worker=clipped(message.worker),
        notes=tuple(map(clipped, message.notes[:MAX_NOTES])),
        first_nonfinite=None if first is None else (first.step, first.slot),
        records_before=message.records_before,
    )
