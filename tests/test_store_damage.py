"""Bad data costs a sentence, not the run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import tensor_pb2, types_pb2
from tensorboard.data.provider import DataProvider

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema.names import ops_tag, steps_tag
from tb_numstab.schema.op_table import OpTableChunk, encode_ops
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord, encode_record
from tb_numstab.store import tfrecord
from tb_numstab.store.assemble import MAX_GAP, UNDESCRIBED
from tb_numstab.store.event_files import MAX_GAPS, read_runs
from tb_numstab.store.tfrecord import SEARCHED, read_records
from tests.support.readers import PROVIDERS, only_run, provided_runs
from tests.support.runs import SyntheticRun
from tests.support.synthetic import SESSION, START, Recorder, framed


def test_truncated_tail_is_how_a_live_run_ends(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 100)
    data = only_run(tmp_path)
    assert data.sessions[0].steps == list(range(9))
    assert data.problems == []


def test_flipped_byte_in_a_record_costs_that_record(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    data = only_run(tmp_path)
    assert data.sessions[0].steps == list(range(9))
    assert data.problems == [f"{path.name} is damaged: 1 event could not be read."]


def test_damage_that_no_record_follows_costs_the_rest(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + flipped(framed(b"an event"), 0))
    data = only_run(tmp_path)
    assert data.problems == [f"{path.name} is damaged: everything from byte {size} on could not be read."]
    assert data.sessions[0].steps == list(range(10))


def test_flipped_byte_in_a_length_costs_one_record(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    at = positions(path)[5]
    path.write_bytes(flipped(path.read_bytes(), at))
    data = only_run(tmp_path)
    assert len(data.sessions[0].steps) == 9
    assert re.fullmatch(rf"{path.name} is damaged: [\d,]+ bytes in 1 place could not be read\.", data.problems[0])


@pytest.mark.parametrize("size", [0, 1, 300, SEARCHED - 6, SEARCHED, 2 * SEARCHED + 5])
def test_records_behind_a_torn_one_are_found(small: SyntheticRun, tmp_path: Path, size: int) -> None:
    """A disk that is full for a while loses any number of bytes, or a file system puts zeros in their place."""
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    content, at = path.read_bytes(), positions(path)[6]
    path.write_bytes(content[: at + 5] + bytes(size) + content[at + 9 :])
    steps = only_run(tmp_path).sessions[0].steps
    assert len(steps) == 9 and steps[-1] == 9


def test_a_file_of_nothing_but_damage_is_given_up(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b"?".join([framed(b"")] * (3 * MAX_GAPS)))
    (problem,) = only_run(tmp_path).problems
    assert f"in {MAX_GAPS} places and everything from byte" in problem


def positions(path: Path) -> list[int]:
    """Where each record of an intact event file begins."""
    with path.open("rb") as file:
        return [0, *(record.end for record in read_records(file))]


def flipped(content: bytes, at: int) -> bytes:
    """The bytes with one bit of one byte changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_damage_to_a_file_raises(small: SyntheticRun, tmp_path: Path, data: st.DataObject) -> None:
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes()[: data.draw(st.integers(0, path.stat().st_size))])
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for run in read_runs(str(tmp_path)):
        for session in run.sessions:
            for record in session.records():
                assert all(session.table[slot] for slot in record.slots)


def test_unreadable_file_is_a_problem(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path)
    (tmp_path / "events.out.tfevents.9.gone").symlink_to(tmp_path / "nowhere")
    data = only_run(tmp_path)
    assert data.problems == ["events.out.tfevents.9.gone could not be read: No such file or directory."]
    assert data.sessions[0].steps == list(range(10))


def newer(record: StepRecord) -> bytes:
    message = pb.StepRecord.FromString(encode_record(record))
    message.schema = 2
    return message.SerializeToString()


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_records_of_a_newer_version_are_one_problem(
    provider: Callable[[Path], DataProvider], small: SyntheticRun, tmp_path: Path
) -> None:
    with Recorder(tmp_path) as run:
        run.ops(small.sites).step(small.records[0])
        for step in (1, 2):
            run.event(steps_tag(SESSION), newer(small.records[step]), step, START + step)
    (data,) = provided_runs(provider(tmp_path))
    assert data.sessions[0].steps == [0]
    (problem,) = data.problems
    assert problem.startswith("2 step records") and "upgrade tb-numstab" in problem
    assert read_runs(str(tmp_path)) == [data]


def test_damaged_part_of_the_op_table(small: SyntheticRun, tmp_path: Path) -> None:
    with Recorder(tmp_path) as run:
        run.event(ops_tag(SESSION, 0), b"no op table", 0, START)
        rest = OpTableChunk(SESSION, 50, small.sites[50:])
        run.event(ops_tag(SESSION, 1), encode_ops(rest), 0, START)
        run.step(small.records[0])
    data = only_run(tmp_path)
    (session,) = data.sessions
    assert session.table[:50] == (UNDESCRIBED,) * 50
    assert session.table[60].op_type == small.sites[60].op_type
    assert data.problems[0].startswith(f"Part 0 of the op table of session {SESSION}: damaged record")
    assert "lacks 50 of 81 slots" in data.problems[1]


def test_records_without_any_op_table(small: SyntheticRun, tmp_path: Path) -> None:
    with Recorder(tmp_path) as run:
        run.step(small.records[0])
    data = only_run(tmp_path)
    assert data.sessions[0].table == (UNDESCRIBED,) * 81
    assert "lacks 81 of 81 slots" in data.problems[0]


def test_slots_far_beyond_the_op_table_are_damage(small: SyntheticRun, tmp_path: Path) -> None:
    far = len(small.sites) + MAX_GAP
    with Recorder(tmp_path) as run:
        run.ops(small.sites).step(small.records[0])
        run.step(replace(small.records[1], first_nonfinite=(1, far)))
        run.step(replace(small.records[2], first_nonfinite=(2, -1)))
        run.event(ops_tag(SESSION, 1), encode_ops(OpTableChunk(SESSION, far + 1, small.sites)), 0, START)
    data = only_run(tmp_path)
    assert data.sessions[0].table == small.sites
    assert data.sessions[0].steps == [0]
    assert len(data.problems) == 3


def test_links_out_of_the_table_are_dropped(tmp_path: Path) -> None:
    site = OpSite("Add", "a", inputs=(0, 7, -9), gradient_of=12, constant=(1.0,), shape=(-5, 2**40))
    with Recorder(tmp_path) as run:
        run.ops([site])
    (read,) = only_run(tmp_path).sessions[0].table
    assert read == replace(site, inputs=(0, -1, -1), gradient_of=-1, constant=())


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_foreign_data_under_our_name(
    provider: Callable[[Path], DataProvider], small: SyntheticRun, tmp_path: Path
) -> None:
    bfloat = tensor_pb2.TensorProto(dtype=types_pb2.DT_BFLOAT16, half_val=[1])
    numbers = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1.0])
    strings = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"a", b"b"])
    strings.tensor_shape.dim.add(size=2)
    with Recorder(tmp_path) as run:
        run.ops(small.sites).step(small.records[0])
        run.tensor("numstab/bfloat/steps", bfloat, 0, START)
        run.tensor("numstab/numbers/steps", numbers, 0, START)
        run.tensor("numstab/strings/ops/0", strings, 0, START)
        run.event("numstab/<script>/steps", b"x", 0, START)
        run.event(steps_tag("other"), b"x", 0, START, plugin="another")
    (data,) = provided_runs(provider(tmp_path))
    sessions = {s.id: s for s in data.sessions}
    assert sessions[SESSION].steps == [0]
    assert not any(s.steps for s in data.sessions if s.id != SESSION)
    for problems in (data.problems, only_run(tmp_path).problems):
        assert len(problems) == 3
        for name in ("bfloat", "numbers", "strings"):
            assert any(f"numstab/{name}/" in problem for problem in problems)


def test_what_is_too_large_to_be_ours_is_passed_over(
    small: SyntheticRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as another plugin's graph or picture; a file that claims gigabytes must not take as much memory."""
    with Recorder(tmp_path) as run:
        run.ops(small.sites).step(small.records[0])
        run.event("a picture", bytes(3 * SEARCHED), 0, START, plugin="images")
        run.step(small.records[1])
    monkeypatch.setattr(tfrecord, "MAX_EVENT_BYTES", 2 * SEARCHED)
    data = only_run(tmp_path)
    assert (data.sessions[0].steps, data.problems) == ([0, 1], [])


def test_the_next_record_is_not_looked_for_without_end(
    small: SyntheticRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 20 GB may be a hole and nothing else."""
    small.write(tmp_path)
    (path,) = tmp_path.iterdir()
    content, at = path.read_bytes(), positions(path)[6]
    path.write_bytes(content[:at] + bytes(3 * SEARCHED) + content[at:])
    monkeypatch.setattr(tfrecord, "MAX_GAP_BYTES", SEARCHED)
    data = only_run(tmp_path)
    assert data.sessions[0].steps == [0, 1, 2, 3]
    assert data.problems[0] == f"{path.name} is damaged: everything from byte {at} on could not be read."
