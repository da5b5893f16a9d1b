"""What is stored comes back; what is damaged is refused; partial rows combine in any order."""

from __future__ import annotations

import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tb_numstab.schema import numstab_pb2 as pb
from tb_numstab.schema.columns import COLUMNS, INDEX, WIDTH, Combine, Row, combine, empty_rows
from tb_numstab.schema.formats import FORMATS, HISTOGRAM_BINS, FloatFormat
from tb_numstab.schema.messages import NewerSchemaError
from tb_numstab.schema.names import Tag, new_session, ops_tag, parse_tag, steps_tag
from tb_numstab.schema.op_table import OpTableChunk, decode_ops, encode_ops
from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.schema.record import StepRecord, decode_record, encode_record
from tb_numstab.schema.table import MAX_SLOTS, RecordError

# ---- strategies -------------------------------------------------------------------------------

_INT32 = st.integers(-(2**31), 2**31 - 1)
_INT64 = st.integers(-(2**63), 2**63 - 1)
_VALUES = {
    "exponent": st.integers(-1074, 1023),
    "bits": st.integers(0, 2098),
    "value": st.floats(allow_nan=False, allow_infinity=False),
}
_COUNTS = st.integers(0, 2**53)


def _cell(unit: str) -> st.SearchStrategy[float]:
    return st.just(float("nan")) | _VALUES.get(unit, _COUNTS).map(float)


_ROW = st.tuples(*(_cell(c.unit) for c in COLUMNS)).map(np.array)


@st.composite
def records(draw: st.DrawFn) -> StepRecord:
    slots = sorted(draw(st.sets(st.integers(0, MAX_SLOTS - 1), max_size=5)))
    rows = np.array([draw(_ROW) for _ in slots]).reshape(len(slots), WIDTH)
    histogram = draw(npst.arrays(np.uint8, (len(slots), HISTOGRAM_BINS)))
    return StepRecord(
        session=draw(st.text(max_size=9)),
        step=draw(_INT64),
        wall_time=draw(st.floats(allow_nan=False)),
        slots=np.array(slots, np.int64),
        rows=rows,
        histogram=histogram,
        kind=draw(st.sampled_from(["survey", "replay"])),
        worker=draw(st.text(max_size=5)),
        notes=tuple(draw(st.lists(st.text(max_size=9), max_size=2))),
        first_nonfinite=draw(st.none() | st.tuples(_INT64, _INT32)),
        records_before=draw(st.integers(0, 2**64 - 1)),
    )


_UINT32 = st.integers(0, 2**32 - 1)
_FRAMES = st.builds(Frame, st.text(max_size=9), _UINT32, st.text(max_size=9), st.text(max_size=9))
_SITES = st.builds(
    OpSite,
    op_type=st.text(max_size=9),
    name=st.text(max_size=9),
    output=_UINT32,
    graph=st.text(max_size=9),
    looped=st.booleans(),
    dtype=st.sampled_from(list(FORMATS)),
    shape=st.none() | st.lists(st.integers(-1, 2**40), max_size=4).map(tuple),
    inputs=st.lists(_INT32, max_size=4).map(tuple),
    frames=st.lists(_FRAMES, max_size=3).map(tuple),
    layer=st.text(max_size=9),
    role=st.sampled_from(list(Role)),
    variable=st.text(max_size=9),
    trainable=st.booleans(),
    gradient_of=_INT32,
    returned=st.booleans(),
    constant=st.just(()) | st.tuples(*[st.floats(allow_nan=False)] * WIDTH),
)
_CHUNKS = st.builds(
    OpTableChunk,
    session=st.text(max_size=9),
    first_slot=st.integers(0, MAX_SLOTS - 10),
    sites=st.lists(_SITES, max_size=4).map(tuple),
    worker=st.text(max_size=5),
)


def example_record() -> StepRecord:
    rows = empty_rows(3)
    rows[:, INDEX["size"]] = 10
    return StepRecord("s", 7, 1.0, np.array([0, 4, 5]), rows, np.zeros((3, HISTOGRAM_BINS), np.uint8))


def example_chunk() -> OpTableChunk:
    return OpTableChunk("s", 0, (OpSite("MatMul", "a", shape=(2, 3), frames=(Frame("t.py", 1, "f", "a @ b"),)),))


# ---- round trips ------------------------------------------------------------------------------


@given(records())
def test_record_comes_back(record: StepRecord) -> None:
    back = decode_record(encode_record(record))
    plain = ("session", "step", "wall_time", "kind", "worker", "notes", "first_nonfinite", "records_before")
    assert {n: getattr(back, n) for n in plain} == {n: getattr(record, n) for n in plain}
    np.testing.assert_array_equal(back.slots, record.slots)
    np.testing.assert_array_equal(back.histogram, record.histogram)
    exact = [c.name for c in COLUMNS if c.unit != "value"]
    for name in exact:
        np.testing.assert_array_equal(back.column(name), record.column(name), err_msg=name)


@given(records())
def test_values_are_rounded_outward_and_little(record: StepRecord) -> None:
    back = decode_record(encode_record(record))
    for name, sign in (("min", -1), ("max", 1)):
        before, after = record.column(name), back.column(name)
        np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
        known = ~np.isnan(before)
        assert (sign * after[known] >= sign * before[known]).all()
        assert (np.abs(after[known] / 2 - before[known] / 2) <= np.abs(before[known]) * 2.0**-16).all()
        assert np.isfinite(after[known]).all()


def test_infinite_sum_of_squares_comes_back() -> None:
    record = example_record()
    record.rows[0, INDEX["sum_sq"]] = np.inf
    assert decode_record(encode_record(record)).column("sum_sq")[0] == np.inf


@given(_CHUNKS)
def test_op_table_comes_back(chunk: OpTableChunk) -> None:
    assert decode_ops(encode_ops(chunk)) == chunk


def test_lone_surrogates_do_not_stop_the_log() -> None:
    chunk = OpTableChunk("s", 0, (OpSite("Add", "bad\ud800name"),))
    assert decode_ops(encode_ops(chunk)).sites[0].name == "bad?name"


def test_unknown_rank_and_scalar_are_told_apart() -> None:
    sites = (OpSite("A", "a", shape=None), OpSite("B", "b", shape=()))
    assert [s.shape for s in decode_ops(encode_ops(OpTableChunk("s", 0, sites))).sites] == [None, ()]


# ---- damage -----------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Data cut short, with some bits flipped, or with a piece replaced."""
    out = bytearray(data[: draw(st.integers(0, len(data)))])
    for _ in range(draw(st.integers(0, 3)) if out else 0):
        out[draw(st.integers(0, len(out) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(out) + draw(st.binary(max_size=4))


@settings(max_examples=300)
@given(damaged(encode_record(example_record())) | st.binary(max_size=200))
def test_damaged_record_raises_record_error_or_decodes(data: bytes) -> None:
    try:
        record = decode_record(data)
    except RecordError:
        return
    assert record.rows.shape == (len(record.slots), WIDTH)
    assert (np.diff(record.slots) > 0).all()


@settings(max_examples=300)
@given(damaged(encode_ops(example_chunk())) | st.binary(max_size=200))
def test_damaged_op_table_raises_record_error_or_decodes(data: bytes) -> None:
    try:
        decode_ops(data)
    except RecordError:
        return


@settings(max_examples=200)
@given(damaged(zlib.decompress(encode_ops(example_chunk()))))
def test_damaged_op_table_with_a_good_checksum(data: bytes) -> None:
    try:
        decode_ops(zlib.compress(data))
    except RecordError:
        return


@pytest.mark.parametrize("length", range(0, 60, 3))
def test_truncated_record_is_refused(length: int) -> None:
    with pytest.raises(RecordError):
        decode_record(encode_record(example_record())[:length])


def test_record_that_inflates_beyond_its_claim_takes_no_memory() -> None:
    honest = pb.StepRecord.FromString(encode_record(example_record()))
    honest.packed = zlib.compress(bytes(50_000_000))
    bomb = honest.SerializeToString()
    tracemalloc.start()
    with pytest.raises(RecordError, match="length"):
        decode_record(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("slots", [MAX_SLOTS + 1, 2**32 - 1])
def test_record_that_claims_too_many_slots_is_refused(slots: int) -> None:
    message = pb.StepRecord.FromString(encode_record(example_record()))
    message.slots = slots
    with pytest.raises(RecordError, match=f"claims {slots} slots"):
        decode_record(message.SerializeToString())


def test_slots_that_do_not_ascend_are_refused() -> None:
    record = replace(example_record(), slots=np.array([3, 3, 4]))
    with pytest.raises(RecordError, match="ascending"):
        decode_record(encode_record(record))


def test_newer_schema_says_what_to_do() -> None:
    message = pb.StepRecord.FromString(encode_record(example_record()))
    message.schema = 99
    with pytest.raises(NewerSchemaError, match="schema 99.*upgrade tb-numstab"):
        decode_record(message.SerializeToString())


def test_bytes_without_a_schema_are_foreign() -> None:
    with pytest.raises(RecordError, match="no schema version"):
        decode_record(b"")


def test_op_table_that_points_nowhere_is_refused() -> None:
    message = pb.OpTableChunk.FromString(zlib.decompress(encode_ops(example_chunk())))
    message.sites[0].frames[0] = 5
    with pytest.raises(RecordError, match="does not hold"):
        decode_ops(zlib.compress(message.SerializeToString()))


# ---- rows -------------------------------------------------------------------------------------

# Sums of counts below 2**50 are exact, so that the laws hold to the last bit.
_EXACT_ROW = st.tuples(*(st.just(float("nan")) | st.integers(0, 2**50).map(float) for _ in COLUMNS)).map(np.array)


@given(_EXACT_ROW, _EXACT_ROW, _EXACT_ROW)
def test_combine_is_associative_and_commutative(a: Row, b: Row, c: Row) -> None:
    np.testing.assert_array_equal(combine(a, b), combine(b, a))
    np.testing.assert_array_equal(combine(combine(a, b), c), combine(a, combine(b, c)))


@given(_ROW)
def test_absent_row_is_the_identity_of_combine(row: Row) -> None:
    np.testing.assert_array_equal(combine(row, empty_rows(1)[0]), row)


@pytest.mark.parametrize("name", INDEX)
def test_combine_follows_the_column(name: str) -> None:
    a, b = np.full(WIDTH, 3.0), np.full(WIDTH, 5.0)
    expected = {Combine.ADD: 8.0, Combine.MIN: 3.0, Combine.MAX: 5.0}[COLUMNS[INDEX[name]].combine]
    assert combine(a, b)[INDEX[name]] == expected


def test_expand_places_rows_by_slot() -> None:
    record = example_record()
    table = record.expand(5)
    assert table.shape == (5, WIDTH)
    np.testing.assert_array_equal(table[:, INDEX["size"]], [10, np.nan, np.nan, np.nan, 10])


# ---- formats and names ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_formats_agree_with_numpy(name: str) -> None:
    fmt, info = FORMATS[name], np.finfo(name)
    assert fmt.max_value == float(info.max)
    assert (fmt.precision, fmt.min_exp, fmt.max_exp) == (info.nmant + 1, info.minexp, info.maxexp - 1)
    assert 2.0**fmt.min_subnormal_exp == float(info.smallest_subnormal)
    assert fmt.exponent_bits == info.nexp


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
def test_histogram_covers_every_exponent(fmt: FloatFormat) -> None:
    assert (fmt.max_exp - fmt.min_subnormal_exp) // fmt.bin_width < HISTOGRAM_BINS
    assert 2.0**fmt.max_exp <= fmt.max_value < 2.0**fmt.max_exp * 2


def test_tags_come_back() -> None:
    session = new_session()
    assert parse_tag(steps_tag(session)) == Tag(session)
    assert parse_tag(steps_tag(session, 7)) == Tag(session, part=7)
    assert parse_tag(ops_tag(session, 12)) == Tag(session, chunk=12)
    assert session < new_session()  # later sessions sort later, within a second too


@pytest.mark.parametrize(
    "tag",
    ["", "loss", "numstab/", "numstab//steps", "numstab/a/steps/b", "numstab/a/ops/", "numstab/a/ops/-1",
     "numstab/../../etc/steps", "numstab/a/ops/1234567", "numstab/<b>/steps", "numstab/a/steps\n", "numstab/a/ops/١",
     "numstab/a/ops/01", "numstab/a/steps/", "numstab/a/steps/0", "numstab/a/steps/-1"],
)  # fmt: skip
def test_foreign_tags_are_not_ours(tag: str) -> None:
    assert parse_tag(tag) is None
