"""StepRecord and op table <-> bytes.

A record holds one row per measured slot. The table is stored column by column, each column's bytes
regrouped by significance, all under one zlib stream: counters that are zero nearly everywhere then
cost nearly nothing. Two columns are rounded, outward, so that [min, max] always encloses the data.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema.columns import COLUMNS, INDEX, WIDTH, Row
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.names import SCHEMA_VERSION
from tb_numstab.schema.ops import Frame, OpSite, Role

MAX_SLOTS = 1 << 20
"""Slots a record or op table may claim; more is taken for damage (the largest real graphs: 10**6)."""

KEPT_BITS = 16
"""Significand bits kept of min and max: error below 2**-15, a third of the bytes."""

_ROLES = tuple(Role)


class RecordError(ValueError):
    """Stored bytes that are no tb-numstab record: truncated, damaged or foreign."""


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

    def expand(self, count: int) -> Row:
        """Rows by slot number, float64 [count, WIDTH]; NaN for slots this record did not measure."""
        table = np.full((count, WIDTH), np.nan)
        known = self.slots < count
        table[self.slots[known]] = self.rows[known]
        return table


@dataclass(frozen=True)
class OpTableChunk:
    """Consecutive entries of a session's op table, from slot ``first_slot`` on."""

    session: str
    first_slot: int
    sites: tuple[OpSite, ...]
    worker: str = ""


def encode_record(record: StepRecord) -> bytes:
    """The bytes of one step's summary: 10-24 bytes per slot on real models."""
    raw = _pack(record)
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
        packed_size=len(raw),
        packed=zlib.compress(raw, 6),
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
    message = pb.StepRecord()
    _parse(message, data)
    count = message.slots
    if count > MAX_SLOTS or message.packed_size != count * _BYTES_PER_SLOT:
        raise RecordError(f"step record claims {count} slots in {message.packed_size} bytes")
    slots, rows, histogram = _unpack(_inflate(message.packed, message.packed_size), count)
    first = message.first_nonfinite if message.HasField("first_nonfinite") else None
    return StepRecord(
        session=message.session,
        step=message.step,
        wall_time=message.wall_time,
        slots=slots,
        rows=rows,
        histogram=histogram,
        kind=message.kind,
        worker=message.worker,
        notes=tuple(message.notes),
        first_nonfinite=None if first is None else (first.step, first.slot),
        records_before=message.records_before,
    )


def encode_ops(chunk: OpTableChunk) -> bytes:
    """The bytes of one op table chunk; strings and frames are stored once per chunk."""
    writer = _OpWriter()
    for site in chunk.sites:
        writer.add(site)
    message = writer.message
    message.schema = SCHEMA_VERSION
    message.session, message.worker, message.first_slot = chunk.session, chunk.worker, chunk.first_slot
    return zlib.compress(message.SerializeToString(), 6)


MAX_OPS_BYTES = 1 << 28
"""Largest decompressed op table chunk; TensorBoard's own response limit."""


def decode_ops(data: bytes) -> OpTableChunk:
    """The inverse of encode_ops. Raises as decode_record does."""
    message = pb.OpTableChunk()
    _parse(message, _inflate(data, MAX_OPS_BYTES, exact=False))
    if message.first_slot + len(message.sites) > MAX_SLOTS:
        raise RecordError(f"op table claims {message.first_slot + len(message.sites)} slots")
    strings, frames = message.strings, message.frames
    try:
        kept = [Frame(strings[f.file], f.line, strings[f.function], strings[f.text]) for f in frames]
        sites = tuple(_site(s, strings, kept) for s in message.sites)
    except IndexError as error:
        raise RecordError("op table refers to a string, frame or role it does not hold") from error
    return OpTableChunk(message.session, message.first_slot, sites, message.worker)


# ---- the packed table -------------------------------------------------------------------------


def _dtype(name: str, unit: str) -> np.dtype[np.generic]:
    if unit in ("exponent", "bits"):
        return np.dtype("<i2")
    return np.dtype("<f8") if unit == "value" else np.dtype("<i8")


_DTYPES = tuple(_dtype(c.name, c.unit) for c in COLUMNS)
_BYTES_PER_SLOT = 4 + sum(d.itemsize for d in _DTYPES) + HISTOGRAM_BINS


def _pack(record: StepRecord) -> bytes:
    parts = [_planes(np.diff(record.slots, prepend=0).astype("<u4"))]
    for column, dtype in zip(COLUMNS, _DTYPES, strict=True):
        values = record.rows[:, INDEX[column.name]]
        if dtype.kind == "f":
            stored = _rounded(values, column.name)
        else:
            stored = np.where(np.isnan(values), np.iinfo(dtype).min, values)  # type: ignore[type-var]
        parts.append(_planes(stored.astype(dtype)))
    parts.append(np.ascontiguousarray(record.histogram.T).tobytes())
    return b"".join(parts)


def _unpack(raw: bytes, count: int) -> tuple[NDArray[np.int64], Row, NDArray[np.uint8]]:
    rows, offset = np.empty((count, WIDTH)), count * 4
    slots = np.cumsum(_from_planes(raw[:offset], np.dtype("<u4")), dtype=np.int64)
    if count and (slots[-1] >= MAX_SLOTS or (np.diff(slots) <= 0).any()):
        raise RecordError("step record's slots are not ascending")
    for index, dtype in enumerate(_DTYPES):
        end = offset + count * dtype.itemsize
        values = _from_planes(raw[offset:end], dtype)
        rows[:, index] = values
        if dtype.kind == "i":
            rows[values == np.iinfo(dtype).min, index] = np.nan  # type: ignore[type-var]
        offset = end
    histogram = np.frombuffer(raw, np.uint8, offset=offset).reshape(HISTOGRAM_BINS, count).T
    return slots, rows, histogram


def _rounded(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Values with KEPT_BITS significant bits: min rounded down, max up, others to nearest."""
    significand, exponent = np.frexp(values)
    scaled = significand * 2.0**KEPT_BITS
    kept = np.floor(scaled) if name == "min" else np.ceil(scaled) if name == "max" else np.rint(scaled)
    with np.errstate(over="ignore"):
        rounded = np.ldexp(kept, exponent - KEPT_BITS)
    # Rounding the largest float64 outward would leave the format: such values stay as they are.
    return np.where(np.isinf(rounded), values, rounded)


def _planes(values: NDArray[np.generic]) -> bytes:
    """The bytes of an array regrouped by significance, so that equal high bytes lie together."""
    return values.view(np.uint8).reshape(len(values), values.itemsize).T.tobytes()


def _from_planes(data: bytes, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(-1)


def _inflate(data: bytes, size: int, exact: bool = True) -> bytes:
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data, size or 1)
    except zlib.error as error:
        raise RecordError(f"damaged record: {error}") from error
    if not stream.eof or (exact and len(raw) != size):
        raise RecordError("damaged record: its length is not the one it claims")
    return raw


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
        shape=tuple(site.shape.dim) if site.HasField("shape") else None,
        inputs=tuple(site.inputs),
        frames=tuple(frames[f] for f in site.frames),
        layer=strings[site.layer],
        role=_ROLES[site.role],
        variable=strings[site.variable],
        trainable=site.trainable,
        gradient_of=site.gradient_of,
        returned=site.returned,
        constant=tuple(site.constant),
    )
