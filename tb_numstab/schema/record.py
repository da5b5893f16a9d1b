"""StepRecord and op table <-> bytes. A record holds one row per measured slot; schema/table.py packs the rows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema import table
from tb_numstab.schema.columns import INDEX, WIDTH, Row
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.names import SCHEMA_VERSION
from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.schema.table import MAX_SLOTS
from tb_numstab.schema.table import RecordError as RecordError

MAX_OPS_BYTES = 1 << 27
"""Largest op table chunk, decompressed; 10**6 slots take about 100 MB."""

MAX_OPS_ENTRIES = 4 * MAX_SLOTS
"""Strings, frames and sites of a chunk: an empty one takes two bytes there, and a hundred once parsed."""

MAX_TEXT = 1000
"""Characters kept of a name, a path, a source line or a note: no real one is longer, and pages show many of them."""

MAX_NOTES, MAX_FRAMES = 20, 100

MAX_RANK = 254
"""TensorFlow's own; a shape that claims more is taken for unknown."""

_ROLES = tuple(Role)
_VARINT, _LENGTH_DELIMITED = 0, 2  # wire types of protobuf


class NewerSchemaError(RecordError):
    """A record written by a newer tb-numstab than this one."""


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
        known = self.slots < count
        columns[:, self.slots[known]] = self.rows.T[:, known]
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


@dataclass(frozen=True)
class OpTableChunk:
    """Consecutive entries of a session's op table, from slot ``first_slot`` on."""

    session: str
    first_slot: int
    sites: tuple[OpSite, ...]
    worker: str = ""


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
    return RecordHeader(_clipped(message.worker), message.step, message.records_before, last)


def encode_ops(chunk: OpTableChunk) -> bytes:
    """The bytes of one op table chunk; strings and frames are stored once per chunk."""
    writer = _OpWriter()
    for site in chunk.sites:
        writer.add(site)
    message = writer.message
    message.schema = SCHEMA_VERSION
    message.session, message.worker, message.first_slot = chunk.session, chunk.worker, chunk.first_slot
    return zlib.compress(message.SerializeToString(), 6)


def decode_ops(data: bytes) -> OpTableChunk:
    """The inverse of encode_ops. Raises as decode_record does."""
    raw = table.inflate(data, MAX_OPS_BYTES, exact=False)
    if _entries(raw) > MAX_OPS_ENTRIES:
        raise RecordError("op table claims more strings, frames and slots than any could have")
    message = pb.OpTableChunk()
    _parse(message, raw)
    if message.first_slot + len(message.sites) > MAX_SLOTS:
        raise RecordError(f"op table claims {message.first_slot + len(message.sites)} slots")
    strings, frames = [_clipped(text) for text in message.strings], message.frames
    try:
        kept = [Frame(strings[f.file], f.line, strings[f.function], strings[f.text]) for f in frames]
        sites = tuple(_site(s, strings, kept) for s in message.sites)
    except IndexError as error:
        raise RecordError("op table refers to a string, frame or role it does not hold") from error
    return OpTableChunk(message.session, message.first_slot, sites, _clipped(message.worker))


def _step_record(data: bytes) -> pb.StepRecord:
    """The message, whose claims about its table can be trusted as far as memory goes."""
    message = pb.StepRecord()
    _parse(message, data)
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
        kind=_clipped(message.kind),
        worker=_clipped(message.worker),
        notes=tuple(map(_clipped, message.notes[:MAX_NOTES])),
        first_nonfinite=None if first is None else (first.step, first.slot),
        records_before=message.records_before,
    )


def _parse(message: pb.StepRecord | pb.OpTableChunk, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise RecordError(f"not a tb-numstab record: {error}") from error
    if message.schema > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"written with schema {message.schema}, this tb-numstab reads up to {SCHEMA_VERSION}: upgrade tb-numstab"
        )
    if message.schema == 0:
        raise RecordError("not a tb-numstab record: it has no schema version")


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def _entries(raw: bytes) -> int:
    """How many fields a message holds, those in its submessages left out; counted until there are too many."""
    count = position = 0
    while position < len(raw) and count <= MAX_OPS_ENTRIES:
        count += 1
        kind, position = raw[position] & 7, position + 1
        size, position = _varint(raw, position)
        if kind == _LENGTH_DELIMITED:
            position += size
        elif kind != _VARINT:
            raise RecordError("not a tb-numstab record: it holds a field of another kind")
    return count


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """A protobuf varint, and the position after it."""
    value = 0
    for shift, byte in enumerate(raw[position : position + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, position + shift + 1
    raise RecordError("not a tb-numstab record: it holds a number that does not end")


# ---- the op table -----------------------------------------------------------------------------


@dataclass
class _OpWriter:
    """Interns strings and frames while it fills one OpTableChunk message."""

    message: pb.OpTableChunk = field(default_factory=pb.OpTableChunk)
    _strings: dict[str, int] = field(default_factory=dict)
    _frames: dict[Frame, int] = field(default_factory=dict)

    def add(self, site: OpSite) -> None:
        out = self.message.sites.add(
            op_type=self._string(site.op_type),
            name=self._string(site.name),
            output=site.output,
            graph=self._string(site.graph),
            looped=site.looped,
            dtype=self._string(site.dtype),
            inputs=site.inputs,
            frames=[self._frame(f) for f in site.frames],
            layer=self._string(site.layer),
            role=_ROLES.index(site.role),
            variable=self._string(site.variable),
            trainable=site.trainable,
            gradient_of=site.gradient_of,
            returned=site.returned,
            constant=site.constant,
        )
        if site.shape is not None:
            out.shape.dim.extend(site.shape)
            out.shape.SetInParent()

    def _string(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = len(self._strings)
            # Protobuf holds UTF-8 only; a name with a lone surrogate must not stop the log.
            self.message.strings.append(text.encode("utf-8", "replace").decode())
        return self._strings[text]

    def _frame(self, frame: Frame) -> int:
        if frame not in self._frames:
            self._frames[frame] = len(self._frames)
            self.message.frames.add(
                file=self._string(frame.file),
                line=frame.line,
                function=self._string(frame.function),
                text=self._string(frame.text),
            )
        return self._frames[frame]


def _site(site: pb.OpSite, strings: Sequence[str], frames: Sequence[Frame]) -> OpSite:
    return OpSite(
        op_type=strings[site.op_type],
        name=strings[site.name],
        output=site.output,
        graph=strings[site.graph],
        looped=site.looped,
        dtype=strings[site.dtype],
        shape=tuple(site.shape.dim) if site.HasField("shape") and len(site.shape.dim) <= MAX_RANK else None,
        inputs=tuple(site.inputs),
        frames=tuple(frames[f] for f in site.frames[:MAX_FRAMES]),
        layer=strings[site.layer],
        role=_ROLES[site.role],
        variable=strings[site.variable],
        trainable=site.trainable,
        gradient_of=site.gradient_of,
        returned=site.returned,
        constant=tuple(site.constant),
    )
