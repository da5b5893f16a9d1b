"""What both messages of a log have in common: a schema version, and texts that are kept short."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema.names import SCHEMA_VERSION
from tb_numstab.schema.table import RecordError

MAX_TEXT = 1000
"""Characters kept of a name, a path, a source line or a note: no real one is longer, and pages show many of them."""


class NewerSchemaError(RecordError):
    """A record written by a newer tb-numstab than this one."""


def parse(message: pb.StepRecord | pb.OpTableChunk, data: bytes) -> None:
    """Fills a message from its bytes.

    Raises:
      NewerSchemaError: written by a newer version.
      RecordError: no tb-numstab message, or a damaged one.
    """
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


def clipped(text: str) -> str:
    """The text, or its first MAX_TEXT characters and an ellipsis."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
