"""What keeps large tensors cheap, samples and waiting, must not change what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tb_numstab.instrument import bucket
from tb_numstab.instrument.counters import CHUNK, measure, measure_all
from tb_numstab.instrument.operands import Op, count_events, count_update
from tb_numstab.instrument.samples import SAMPLE, sampled, stride_of
from tb_numstab.instrument.twin import Twin
from tb_numstab.schema.columns import INDEX, Row

RANDOM = np.random.RandomState(0)


def events(op_type: str, out: np.ndarray, *inputs: np.ndarray) -> Row:
    rows, _ = measure_all([out])
    count_events(rows, {0: Op(op_type, out, inputs)})
    row: Row = rows[0]
    return row


def test_a_sum_that_loses_little_is_judged_by_a_sample() -> None:
    a, b = RANDOM.randn(2, 100_000).astype(np.float32)
    b[:10_000] = 0.0
    b[-10_000:] = 1e-12
    row = events("AddV2", a + b, a, b)
    assert row[INDEX["operands"]] == pytest.approx(90_000, rel=0.02)
    assert row[INDEX["absorbed"]] == pytest.approx(10_000, rel=0.1)


@pytest.mark.parametrize("op_type", ["AddV2", "Sub"])
def test_a_sum_that_loses_much_is_counted_element_by_element(op_type: str) -> None:
    a = RANDOM.randn(300, 1_000).astype(np.float32) + 4
    b = np.full(1_000, 1e-12, np.float32)
    b[7] = 1.0
    row = events(op_type, a + b if op_type == "AddV2" else a - b, a, b)
    assert (row[INDEX["operands"]], row[INDEX["absorbed"]]) == (300_000, 300_000 - 300)


def test_one_element_of_a_large_product_that_underflows_is_found() -> None:
    a = RANDOM.rand(3, CHUNK).astype(np.float32) + 1
    b = np.ones((3, 1), np.float32)
    a[2, 77], b[2, 0] = 1e-30, 1e-30
    row = events("Mul", a * b, a, b)
    assert row[INDEX["underflow"]] == 1


def test_one_element_of_a_large_quotient_that_overflows_is_found() -> None:
    a, b = np.ones((2, 5 * CHUNK), np.float32)
    a[-1], b[-1] = 1e30, 1e-30
    with np.errstate(over="ignore"):
        row = events("RealDiv", a / b, a, b)
    assert row[INDEX["overflow"]] == 1


def test_a_large_update_is_counted_element_by_element() -> None:
    old, delta = RANDOM.rand(2, 3 * CHUNK + 5).astype(np.float32) + 1
    delta[11], delta[-1], delta[5] = 1e-12, 1e-12, 0.0
    row = measure(old - delta)[0]
    count_update(row, old - delta, [old, delta])
    assert (row[INDEX["operands"]], row[INDEX["absorbed"]]) == (old.size - 1, 2)


@pytest.mark.parametrize("size", [1, SAMPLE, SAMPLE + 1, 100_000, 1 << 20])
def test_a_sample_is_small_and_sees_every_channel(size: int) -> None:
    seen = np.arange(size)[:: stride_of(size)]
    assert len(seen) <= SAMPLE
    assert size <= SAMPLE or len(np.unique(seen % 64)) == 64


@pytest.mark.parametrize("shape", [(), (1,), (7,), (6, 1, 1), (1, 500, 7), (6, 500, 7)])
def test_a_sample_takes_the_same_elements_of_broadcast_operands(shape: tuple[int, ...]) -> None:
    out, operand = np.zeros((6, 500, 7)), np.asarray(RANDOM.rand(*shape))
    part, (taken,) = sampled(out, [operand])
    expected = np.broadcast_to(operand, out.shape).reshape(-1)[:: stride_of(out.size)]
    np.testing.assert_array_equal(np.broadcast_to(taken, part.shape), expected)


def test_large_results_wait_until_the_host_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "BUCKET_BYTES", 1 << 20)

    @tf.function
    def step(x: Any) -> Any:
        for _ in range(12):
            x = x + 1.0
        return tf.reduce_sum(x)

    x = tf.zeros([1 << 18])
    graph = Twin(step).trace((x,), {}).concrete.graph
    sinks = [op for op in graph.get_operations() if op.type == "PyFunc"]
    sums = [op for op in graph.get_operations() if op.type == "AddV2"]
    assert len(sinks) > bucket.WAITING
    held = [op for op in sums if any(c in sinks for c in op.control_inputs)]
    assert held == sums[-len(held) :]
    assert len(held) >= len(sums) - bucket.WAITING - 1
