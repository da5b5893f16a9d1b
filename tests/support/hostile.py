"""Logs made to do harm: bytes damaged at random, and events that are small in the file and huge once read."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.formats import HISTOGRAM_BINS
from tb_numstab.schema.names import SCHEMA_VERSION, ops_tag, steps_tag
from tb_numstab.schema.op_table import OpTableChunk, encode_ops
from tb_numstab.schema.ops import Frame, OpSite
from tb_numstab.schema.record import encode_record
from tb_numstab.schema.table import BYTES_PER_SLOT, MAX_SLOTS
from tests.support.runs import SyntheticRun
from tests.support.synthetic import SESSION, START, Recorder

MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
LONG = MARKUP + "x" * 2_000_000


def write_damaged(run: SyntheticRun, logdir: Path, seed: int) -> None:
    """Writes a run whose events, and whose file, have bytes changed, lost and repeated; their checksums are right."""
    chance = random.Random(seed)
    cut = chance.randrange(len(run.sites))
    chunks = OpTableChunk(SESSION, 0, run.sites[:cut]), OpTableChunk(SESSION, cut, run.sites[cut:])
    with Recorder(logdir) as recorder:
        for number, chunk in enumerate(chunks):
            recorder.event(ops_tag(SESSION, number), _damaged(encode_ops(chunk), chance), 0, START)
        for record in run.records[:4]:
            data = encode_record(record)
            if chance.random() < 0.5:  # the table alone: the message around it is whole
                message = pb.StepRecord.FromString(data)
                message.packed = _damaged(message.packed, chance)
                data = message.SerializeToString()
            else:
                data = _damaged(data, chance)
            recorder.event(steps_tag(SESSION), data, record.step, record.wall_time)
    if chance.random() < 0.3:
        recorder.path.write_bytes(_damaged(recorder.path.read_bytes(), chance))


def write_bomb(run: SyntheticRun, logdir: Path, seed: int) -> None:
    """Writes a run with one of BOMBS in it, which each seed in turn picks."""
    with Recorder(logdir) as recorder:
        recorder.ops(run.sites).step(run.records[0])
        list(BOMBS.values())[seed % len(BOMBS)](recorder, run)
        recorder.step(run.records[1])


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes after up to three accidents."""
    changed = bytearray(data)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(changed) + 1)
        if chance.random() < 0.6 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif chance.random() < 0.5:
            del changed[at : at + chance.choice((1, 8, len(changed)))]
        else:
            changed[at:at] = changed[at : at + chance.randrange(64)]
    return bytes(changed)


# ---- bombs ----------------------------------------------------------------------------------------


def _ops(recorder: Recorder, raw: bytes) -> None:
    recorder.event(ops_tag(SESSION, 1), zlib.compress(raw, 9), 0, START)


def _zeros(recorder: Recorder, run: SyntheticRun) -> None:
    _ops(recorder, bytes(1 << 28))


def _empty_sites(recorder: Recorder, run: SyntheticRun) -> None:
    start = pb.OpTableChunk(schema=SCHEMA_VERSION, session=SESSION, first_slot=len(run.sites)).SerializeToString()
    _ops(recorder, start + bytes([7 << 3 | 2, 0]) * (1 << 25))


def _endless_number(recorder: Recorder, run: SyntheticRun) -> None:
    _ops(recorder, bytes([1 << 3]) + b"\xff" * (1 << 26))


def _table_of_zeros(recorder: Recorder, run: SyntheticRun) -> None:
    message = pb.StepRecord.FromString(encode_record(run.records[0]))
    message.packed = zlib.compress(bytes(1 << 28), 9)
    recorder.event(steps_tag(SESSION), message.SerializeToString(), 5, START + 5)


def _every_slot(recorder: Recorder, run: SyntheticRun) -> None:
    slots = np.ones(MAX_SLOTS, "<u4").view(np.uint8).reshape(-1, 4).T.tobytes()
    message = pb.StepRecord.FromString(encode_record(run.records[0]))
    message.slots, message.packed_size = MAX_SLOTS, MAX_SLOTS * BYTES_PER_SLOT
    message.packed = zlib.compress(slots + bytes(MAX_SLOTS * (BYTES_PER_SLOT - 4)), 9)
    recorder.event(steps_tag(SESSION), message.SerializeToString(), 5, START + 5)


def _long_names(recorder: Recorder, run: SyntheticRun) -> None:
    frame = Frame(LONG, 1, LONG, LONG)
    recorder.ops([replace(s, name=LONG, layer=LONG, op_type=LONG, frames=(frame,) * 50) for s in run.sites[:3]])
    recorder.step(replace(run.records[2], notes=(LONG,) * 3, worker=LONG, kind=LONG))


def _endless_lists(recorder: Recorder, run: SyntheticRun) -> None:
    many = tuple(range(200_000))
    frames = tuple(Frame("a.py", line, "f", "") for line in many)
    recorder.ops([OpSite("AddN", "sum", inputs=many, shape=many, frames=frames, constant=(1.0,) * 200_000)])


def _row_of(run: SyntheticRun, op_type: str) -> int:
    """A row of the first record whose op type this is."""
    return next(row for row, slot in enumerate(run.records[0].slots) if run.sites[slot].op_type == op_type)


def _many_ops(recorder: Recorder, run: SyntheticRun, sites: list[OpSite]) -> None:
    """More ops, all of them with NaN and Inf in a record."""
    first = len(run.sites)
    recorder.ops(sites)
    rows = np.repeat(run.records[0].rows[[_row_of(run, "Log")]], len(sites), axis=0)
    rows[:, [INDEX["nan"], INDEX["pos_inf"]]] = 1
    histogram = np.zeros((len(sites), HISTOGRAM_BINS), np.uint8)
    slots = np.arange(first, first + len(sites))
    recorder.step(replace(run.records[2], slots=slots, rows=rows, histogram=histogram))


def _all_bad(recorder: Recorder, run: SyntheticRun) -> None:
    types = ("Log", "Exp", "RealDiv", "Reshape", "Softmax", "Cast", "Identity")
    _many_ops(recorder, run, [OpSite(types[i % 7], f"op{i}", layer=f"layer{i}", returned=True) for i in range(20_000)])


def _diamonds(recorder: Recorder, run: SyntheticRun) -> None:
    """2**5000 ways lead from the last op to the first."""
    first = len(run.sites)
    _many_ops(recorder, run, [OpSite("AddV2", "sum", inputs=(first + i - 1,) * 2 if i else ()) for i in range(5000)])


def _thousand_sessions(recorder: Recorder, run: SyntheticRun) -> None:
    for number in range(1000):
        session = f"20260101T000000-{number:08x}"
        recorder.event(steps_tag(session), encode_record(replace(run.records[0], session=session)), 0, START)


def _newer(recorder: Recorder, run: SyntheticRun) -> None:
    message = pb.StepRecord.FromString(encode_record(run.records[0]))
    message.schema = SCHEMA_VERSION + 1
    recorder.event(steps_tag(SESSION), message.SerializeToString(), 5, START + 5)


BOMBS: dict[str, Callable[[Recorder, SyntheticRun], None]] = {
    "an op table of zeros": _zeros,
    "32 million empty slots": _empty_sites,
    "a number of 64 MB": _endless_number,
    "a table of zeros": _table_of_zeros,
    "a record of every slot there can be": _every_slot,
    "names of 2 MB with markup": _long_names,
    "lists of 200,000": _endless_lists,
    "20,000 ops that are all bad": _all_bad,
    "a chain of diamonds": _diamonds,
    "a thousand sessions": _thousand_sessions,
    "a newer schema": _newer,
}
