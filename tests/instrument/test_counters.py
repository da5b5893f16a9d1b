"""Rows against a plain float64 reference, for arbitrary bit patterns of every format."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_numstab.instrument import counters
from tb_numstab.instrument.counters import measure, measure_all
from tb_numstab.instrument.operands import Op, count_events, count_update, counts_events
from tb_numstab.schema.columns import COLUMNS, INDEX, Row
from tb_numstab.schema.formats import FORMATS, HISTOGRAM_BINS

DTYPES = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
}


def from_bits(patterns: list[int], name: str) -> np.ndarray:
    bits = FORMATS[name].bits
    return np.array([p % (1 << bits) for p in patterns], f"u{bits // 8}").view(DTYPES[name])


def named(row: Row) -> dict[str, float]:
    return {c.name: float(v) for c, v in zip(COLUMNS, row, strict=True) if not math.isnan(v)}


def reference(array: np.ndarray, name: str) -> dict[str, float]:
    values = [float(v) for v in array.astype(np.float64)]
    finite = [v for v in values if math.isfinite(v)]
    nonzero = [abs(v) for v in finite if v != 0]
    expected: dict[str, float] = {
        "size": len(values),
        "inspected": len(values),
        "calls": 1,
        "nan": sum(math.isnan(v) for v in values),
        "pos_inf": values.count(math.inf),
        "neg_inf": values.count(-math.inf),
        "zero": finite.count(0.0),
        "subnormal": sum(v < 2.0 ** FORMATS[name].min_exp for v in nonzero),
        "negative": sum(v < 0 for v in values),
    }
    if finite:
        expected |= {"min": min(finite), "max": max(finite)}
    if nonzero:
        expected |= {"max_exp": math.frexp(max(nonzero))[1] - 1, "min_exp": math.frexp(min(nonzero))[1] - 1}
    if len(finite) < len(values):
        expected["first_bad_call"] = 0
    return expected


@pytest.mark.parametrize("name", DTYPES)
@given(patterns=st.lists(st.integers(0, 2**64 - 1), max_size=40))
@settings(max_examples=80, deadline=None)
def test_a_row_agrees_with_the_reference(name: str, patterns: list[int]) -> None:
    array = from_bits(patterns, name)
    row, histogram = measure(array)
    measured = named(row)
    measured.pop("sum_sq", None)
    expected = reference(array, name)
    assert measured == expected
    nonzero = expected["size"] - expected["nan"] - expected["pos_inf"] - expected["neg_inf"] - expected["zero"]
    assert histogram.shape == (HISTOGRAM_BINS,)
    assert histogram.sum() == nonzero


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_chunks_add_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    array = from_bits(np.random.RandomState(0).randint(0, 2**31, 999).tolist(), name)
    whole = measure(array)[0]
    monkeypatch.setattr(counters, "CHUNK", 64)
    np.testing.assert_array_equal(measure(array)[0], whole)


def test_the_histogram_of_a_large_tensor_is_a_sample_and_the_counters_are_exact() -> None:
    array = np.ones(100_000, np.float32)
    array[77_777] = np.nan
    row, histogram = measure(array)
    assert named(row)["nan"] == 1
    assert 0 < histogram.sum() < 100_000


def events(op_type: str, out: np.ndarray, *inputs: np.ndarray) -> dict[str, float]:
    rows, _ = measure_all([out])
    count_events(rows, {0: Op(op_type, out, inputs)})
    return named(rows[0])


PAIRS = st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)), min_size=1, max_size=30)


@pytest.mark.parametrize("op_type", ["AddV2", "Sub"])
@given(patterns=PAIRS)
@settings(max_examples=80, deadline=None)
def test_absorbed_and_cancelled_elements_of_a_sum(op_type: str, patterns: list[tuple[int, int]]) -> None:
    a, b = (from_bits([p[i] for p in patterns], "float16") for i in (0, 1))
    with np.errstate(all="ignore"):
        out = a + b if op_type == "AddV2" else a - b
    other = b if op_type == "AddV2" else -b
    finite = np.isfinite(out)
    both = (a != 0) & (b != 0)
    measured = events(op_type, out, a, b)
    assert measured["operands"] == np.count_nonzero(both)
    assert measured["absorbed"] == np.count_nonzero(both & finite & ((out == a) | (out == other)))
    assert measured["overflow"] == np.count_nonzero(~finite & np.isfinite(a) & np.isfinite(b))


def test_cancellation_is_counted_in_bits() -> None:
    a, b = np.array([1.0, 8.0], np.float32), np.array([np.float32(1) - np.float32(2**-20), 1.0], np.float32)
    assert events("Sub", a - b, a, b)["cancelled"] == 20


def test_underflow_needs_operands_that_are_not_zero() -> None:
    a, b = np.array([1e-30, 0, 1e-30, 2], np.float32), np.array([1e-30, 1e-30, 1e-10, 3], np.float32)
    assert events("Mul", a * b, a, b)["underflow"] == 2  # zero, and a subnormal
    x = np.array([-200.0, -np.inf, 0.0], np.float32)
    assert events("Exp", np.exp(x), x)["underflow"] == 1


def test_division_by_zero_is_no_overflow() -> None:
    a, b = np.array([1e30, 1.0], np.float32), np.array([1e-30, 0.0], np.float32)
    with np.errstate(all="ignore"):
        assert events("RealDiv", a / b, a, b)["overflow"] == 1


def test_a_cast_counts_what_leaves_the_narrower_format() -> None:
    a = np.array([1e6, 1e-9, 1.0, 0.0], np.float32)
    with np.errstate(over="ignore"):
        measured = events("Cast", a.astype(np.float16), a)
    assert (measured["overflow"], measured["underflow"]) == (1, 1)


def test_broadcast_operands_count_per_result() -> None:
    a, b = np.full((4, 3), 1e8, np.float32), np.array([1.0, 0.0, 100.0], np.float32)
    measured = events("BiasAdd", a + b, a, b)
    assert (measured["operands"], measured["absorbed"]) == (8, 4)


def test_updates_that_leave_a_weight_unchanged() -> None:
    old, delta = np.array([1.0, 1.0, 1.0], np.float32), np.array([1e-9, 0.0, 0.5], np.float32)
    new = old - delta
    row = measure(new)[0]
    count_update(row, new, [old, delta])
    assert (row[INDEX["operands"]], row[INDEX["absorbed"]]) == (2, 1)


def test_events_are_counted_only_where_the_op_allows_it() -> None:
    assert counts_events("Mul", ["float32", "float32"])
    assert not counts_events("Mul", ["complex64", "complex64"])
    assert not counts_events("AddN", ["float32"] * 3)
    assert not counts_events("MatMul", ["float32", "float32"])


@pytest.mark.parametrize("name", DTYPES)
@given(arrays=st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=6), max_size=6))
@settings(max_examples=80, deadline=None)
def test_tensors_measured_together_are_measured_alike(name: str, arrays: list[list[int]]) -> None:
    tensors = [from_bits(patterns, name) for patterns in arrays]
    for tensor, row, histogram in zip(tensors, *measure_all(tensors), strict=True):
        alone, alone_histogram = measure(tensor)
        np.testing.assert_allclose(row, alone, rtol=1e-12)
        np.testing.assert_array_equal(histogram, alone_histogram)
