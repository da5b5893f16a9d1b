"""Op table <-> bytes. A session writes its op sites in chunks, each once; a chunk holds its strings and frames once."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema import table
from tb_numstab.schema.messages import clipped, parse
from tb_numstab.schema.names import SCHEMA_VERSION
from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.schema.table import MAX_SLOTS, RecordError

MAX_OPS_BYTES = 1 << 27
"""Largest op table chunk, decompressed; 10**6 slots take about 100 MB."""

MAX_OPS_ENTRIES = 4 * MAX_SLOTS
"""Strings, frames and sites of a chunk: an empty one takes two bytes there, and a hundred once parsed."""

MAX_FRAMES = 100
"""Kept of a stack; the hook writes far fewer."""

MAX_RANK = 254
"""TensorFlow's own; a shape that claims more is taken for unknown."""

_ROLES = tuple(Role)
_VARINT, _LENGTH_DELIMITED = 0, 2  # wire types of protobuf


@dataclass(frozen=True)
class OpTableChunk:
    """Consecutive entries of a session's op table, from slot ``first_slot`` on."""

    session: str
    first_slot: int
    sites: tuple[OpSite, ...]
    worker: str = ""


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
    """The inverse of encode_ops.

    Raises:
      NewerSchemaError: written by a newer version.
      RecordError: anything else that is wrong; memory stays bounded by MAX_OPS_BYTES and MAX_OPS_ENTRIES.
    """
    raw = table.inflate(data, MAX_OPS_BYTES, exact=False)
    if _entries(raw) > MAX_OPS_ENTRIES:
        raise RecordError("op table claims more strings, frames and slots than any could have")
    message = pb.OpTableChunk()
    parse(message, raw)
    if message.first_slot + len(message.sites) > MAX_SLOTS:
        raise RecordError(f"op table claims {message.first_slot + len(message.sites)} slots")
    strings, frames = [clipped(text) for text in message.strings], message.frames
    try:
        kept = [Frame(strings[f.file], f.line, strings[f.function], strings[f.text]) for f in frames]
        sites = tuple(_site(s, strings, kept) for s in message.sites)
    except IndexError as error:
        raise RecordError("op table refers to a string, frame or role it does not hold") from error
    return OpTableChunk(message.session, message.first_slot, sites, clipped(message.worker))


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
