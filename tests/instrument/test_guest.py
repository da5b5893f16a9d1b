"""What a step does besides arithmetic is the user's own: it happens once, and what they are told is theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import tb_numstab
from tb_numstab.analysis.origin import Source
from tests.instrument.kinds import WIDTH, batch, log_of_sum, ones
from tests.instrument.kinds.strategies import replica_step, two_replicas


def fails_when_traced(x: Any) -> Any:
    if x.shape[0] == 4:
        raise ValueError("not four rows")
    return tf.reduce_sum(x)


def fails_when_run(x: Any) -> Any:
    with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(x)[0], 4, "not four rows")]):
        return tf.reduce_sum(x)


@pytest.mark.parametrize("every", [1, 2], ids=["measured", "ordinary"])
@pytest.mark.parametrize("function", [fails_when_traced, fails_when_run])
def test_their_exception_is_all_they_see(function: Any, every: int, said: Callable[[], list[str]]) -> None:
    signature = None if function is fails_when_traced else [tf.TensorSpec([None, WIDTH], tf.float32)]
    step = tb_numstab.watch(every=every)(tf.function(function, input_signature=signature))
    step(tf.constant(batch(0)))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="not four rows"):
        step(tf.constant(batch(1, rows=4)))
    step(tf.constant(batch(2)))
    assert tb_numstab.log_step(2).measured
    assert [message for message in said() if "no default summary writer" not in message] == []


def test_wrong_arguments_stop_neither_measuring_nor_replay(said: Callable[[], list[str]]) -> None:
    step = tb_numstab.watch(every=1000)(tf.function(lambda x, scale=1.0: tf.math.log(x) * scale))
    step(tf.constant(1.0))
    with pytest.raises(TypeError):
        step(tf.constant(1.0), shift=2.0)
    tb_numstab.log_step(0)
    step(tf.constant(0.0), scale=2.0)
    health = tb_numstab.log_step(1)
    assert health.origin is not None and health.origin.step == 1
    assert not any("Training goes on unchanged" in message for message in said())


def test_what_a_step_prints_is_printed_once(tmp_path: Path) -> None:
    @tb_numstab.watch(every=1)
    @tf.function
    def step(x: Any) -> Any:
        total = tf.reduce_sum(x)
        tf.print("total", total, output_stream=f"file://{tmp_path}/printed")
        return total

    for i in range(3):
        step(tf.constant(batch(i)))
        tb_numstab.log_step(i)
    assert (tmp_path / "printed").read_text().count("total") == 3


def test_forward_mode_leaves_nothing_behind() -> None:
    """TensorFlow keeps how it differentiates an op for whoever does so next; a measured run may not add to it."""

    def slope(x: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            y = tf.math.expm1(x)
        return accumulator.jvp(y)

    function, given = tf.function(slope), tf.constant(batch(0, rows=3))
    step = tb_numstab.watch(every=1)(function)
    step(tf.constant(batch(0, rows=2)))
    step(given)  # a new shape, that the measured run meets first
    trace = function.get_concrete_function(given).graph.as_graph_def()
    nodes = [*trace.node, *(node for function in trace.library.function for node in function.node_def)]
    assert any(node.op == "Exp" for node in nodes)
    assert not any(node.op == "PyFunc" for node in nodes)


def test_nan_in_a_distributed_dataset_is_said_to_be_in_the_data() -> None:
    strategy = two_replicas()
    with strategy.scope():
        w = ones()
    x = batch(0, rows=16)
    x[10, 1] = float("nan")
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(8))
    replica = replica_step(log_of_sum(w), w)

    @tb_numstab.watch
    @tf.function
    def epoch(data: Any) -> Any:
        total = 0.0
        for x in data:
            total += strategy.reduce("sum", strategy.run(replica, args=(x,)), axis=None)
        return total

    epoch(data)
    health = tb_numstab.log_step(0)
    assert health.origin is not None and health.origin.source is Source.INPUT
