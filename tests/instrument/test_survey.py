"""What a survey records of a real step: every op, its role, its links, its line, its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tb_numstab.instrument.eager import MAX_VARIANTS
from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.schema.record import StepRecord
from tb_numstab.store.event_files import read_runs

HERE = Path(__file__)


def line_of(marker: str) -> int:
    """The line of this file that ends with a marker comment."""
    return next(n for n, text in enumerate(HERE.read_text().splitlines(), 1) if text.endswith(f"# {marker}"))


class Logged:
    """One surveyed step, read back from its event file."""

    def __init__(self, folder: Path, step: Any, *args: Any, steps: int = 1) -> None:
        writer = tf.summary.create_file_writer(str(folder))
        with writer.as_default():
            for i in range(steps):
                step(*args)
                tb_numstab.log_step(i)
            writer.flush()
        (session,) = read_runs(str(folder))[0].sessions
        self.table: list[OpSite] = list(session.table)
        self.record: StepRecord = session.record(session.steps[-1])

    def slots(self, op_type: str, **wanted: Any) -> list[int]:
        """Slots of an op type whose sites have the wanted attributes."""
        return [
            slot
            for slot, site in enumerate(self.table)
            if site.op_type == op_type and all(getattr(site, k) == v for k, v in wanted.items())
        ]

    def value(self, slot: int, column: str) -> float:
        """One number of the record."""
        return float(self.record.rows[list(self.record.slots).index(slot), INDEX[column]])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A custom step with a nested function, a loop, a branch, a map, and Adam."""
    weights = tf.Variable(tf.ones([4, 2]), name="weights")
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([weights])

    @tf.function
    def nested(a: Any) -> Any:
        return tf.math.log(a)  # nested

    nested(tf.ones([3, 2]))  # traced before it is watched

    @tf.function
    def train(x: Any) -> Any:
        with tf.GradientTape() as tape:
            y = x @ weights  # product
            for _ in tf.range(3):
                y = tf.sqrt(y)  # loop
            if tf.reduce_sum(y) > 0.0:
                y = tf.exp(y)  # branch
            z = tf.map_fn(lambda row: tf.square(row), nested(y))  # map
            loss = tf.reduce_mean(z)
        optimizer.apply_gradients([(tape.gradient(loss, weights), weights)])
        return loss

    return Logged(tmp_path_factory.mktemp("graph"), tb_numstab.watch(every=1)(train), np.ones((3, 4), "float32"))


@pytest.mark.parametrize(
    ("op_type", "marker"),
    [("Log", "nested"), ("MatMul", "product"), ("Sqrt", "loop"), ("Exp", "branch"), ("Square", "map")],
)
def test_every_op_has_the_users_own_line(graph: Logged, op_type: str, marker: str) -> None:
    site = graph.table[graph.slots(op_type, role=Role.FORWARD)[0]]
    assert site.source is not None
    assert (Path(site.source.file).name, site.source.line) == (HERE.name, line_of(marker))
    assert site.source.text.endswith(f"# {marker}")


def test_ops_in_a_loop_combine_their_runs(graph: Logged) -> None:
    (slot,) = graph.slots("Sqrt", looped=True)
    assert graph.value(slot, "calls") == 3
    assert graph.value(slot, "size") == 3 * 6
    assert graph.value(slot, "max") == 2.0  # the first of sqrt(4), sqrt(2), sqrt(sqrt(2))


@pytest.mark.parametrize(("gradient", "forward"), [("SqrtGrad", "Sqrt"), ("Reciprocal", "Log"), ("MatMul", "MatMul")])
def test_a_gradient_names_its_forward_op_and_line(graph: Logged, gradient: str, forward: str) -> None:
    site = graph.table[graph.slots(gradient, role=Role.GRADIENT)[0]]
    origin = graph.table[site.gradient_of]
    assert (origin.op_type, origin.role) == (forward, Role.FORWARD)
    assert site.source == origin.source


def test_inputs_link_to_the_ops_that_made_them(graph: Logged) -> None:
    product = graph.table[graph.slots("MatMul", role=Role.FORWARD)[0]]
    assert [graph.table[i].role for i in product.inputs] == [Role.INPUT, Role.VARIABLE]
    loop = graph.table[graph.slots("While", role=Role.FORWARD)[0]]
    assert graph.slots("Sqrt", looped=True)[0] in loop.inputs


def test_what_reads_a_list_is_linked_to_what_its_elements_were_made_by(graph: Logged) -> None:
    (square,) = graph.slots("Square", looped=True)
    (element,) = graph.slots("TensorListGetItem", role=Role.FORWARD)
    (log,) = graph.slots("Log", role=Role.FORWARD)
    (stacked,) = graph.slots("TensorListStack", role=Role.FORWARD)
    assert graph.table[square].inputs == (element,)
    assert graph.table[element].inputs[0] == log
    assert graph.table[stacked].inputs[0] == square
    fetched = graph.slots("TensorListPopBack", role=Role.GRADIENT)
    assert element in {graph.table[slot].inputs[0] for slot in fetched}  # the gradient of Square needs it


def test_variables_and_their_updates_are_named(graph: Logged) -> None:
    (update,) = graph.slots("AssignSubVariableOp", role=Role.UPDATE)
    site = graph.table[update]
    assert (site.variable, site.trainable) == ("weights", True)
    old, delta = site.inputs
    assert graph.table[old].role is Role.VARIABLE
    assert graph.table[delta].role is Role.OPTIMIZER
    assert graph.value(update, "operands") == 8
    assert graph.value(update, "absorbed") == 0


def test_the_result_is_marked_and_constants_carry_their_row(graph: Logged) -> None:
    (returned,) = [s for s in graph.table if s.returned]
    assert returned.op_type == "Mean"
    constants = [s for s in graph.table if s.role is Role.CONSTANT]
    assert constants
    assert all(s.constant[INDEX["size"]] >= 1 for s in constants)


def test_optimizer_ops_are_no_forward_ops(graph: Logged) -> None:
    assert {graph.table[s].role for s in graph.slots("Square")} == {Role.FORWARD, Role.OPTIMIZER}


def test_keras_layers_are_named_with_the_line_that_made_them(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, "sigmoid", name="hidden"),  # hidden
            keras.layers.Dense(1, name="top"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")  # compile
    logged = Logged(
        tmp_path, tb_numstab.watch(every=1)(model.train_on_batch), np.ones((2, 4), "f"), np.ones((2, 1), "f")
    )
    sigmoid = logged.table[logged.slots("Sigmoid")[0]]
    assert sigmoid.layer.endswith("hidden")
    assert sigmoid.source is not None and sigmoid.source.line == line_of("hidden")
    updates = [logged.table[s] for s in logged.slots("AssignSubVariableOp")]
    assert {u.variable.split("/", 1)[1] for u in updates if u.trainable} >= {"hidden/kernel", "top/bias"}
    assert {u.source.line for u in updates if u.trainable and u.source} == {line_of("compile")}


def test_what_a_keras_optimizer_does_in_a_branch_has_the_line_that_made_the_optimizer(tmp_path: Path) -> None:
    weights = tf.Variable(tf.ones([2]))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))  # scaled
    optimizer.build([weights])

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = optimizer.scale_loss(tf.reduce_sum(weights * weights))
        optimizer.apply_gradients([(tape.gradient(loss, weights), weights)])

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step))
    in_a_branch = [s for s in logged.table if s.role is Role.OPTIMIZER and s.graph]
    assert in_a_branch
    assert {s.source.line for s in in_a_branch if s.source} == {line_of("scaled")}


def test_eager_ops_keep_their_slots_over_steps(tmp_path: Path) -> None:
    weights = tf.Variable([1.0, 2.0])

    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sqrt(weights))  # eager
        weights.assign_sub(0.1 * tape.gradient(loss, weights))
        return loss

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step), steps=3)
    (forward,) = logged.slots("Sqrt")
    (gradient,) = logged.slots("SqrtGrad")
    assert logged.table[gradient].gradient_of == forward
    assert logged.table[gradient].source == logged.table[forward].source
    (update,) = logged.slots("AssignSubVariableOp")
    assert logged.value(update, "operands") == 2
    assert logged.record.records_before == 2


def test_a_backward_pass_outside_the_function_is_linked_at_both_ends(tmp_path: Path) -> None:
    weights = tf.Variable([1.0, 2.0])
    root = tf.function(lambda: tf.sqrt(weights))

    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(root() * 3.0)
        weights.assign_sub(0.1 * tape.gradient(loss, weights))
        return loss

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step), steps=2)
    (forward,), (gradient,) = logged.slots("Sqrt"), logged.slots("SqrtGrad")
    assert not logged.slots("PartitionedCall")
    assert logged.table[gradient].gradient_of == forward
    upstream = logged.table[logged.table[gradient].inputs[1]]
    assert logged.table[upstream.inputs[0]].op_type == "Mul"  # made by the gradient of the eager multiplication
    (update,) = logged.slots("AssignSubVariableOp")
    scaled = logged.table[logged.table[update].inputs[1]]
    taken = logged.table[scaled.inputs[1]]
    assert taken.role is Role.INPUT and taken.inputs == (gradient,)


def test_an_eager_op_with_other_operands_than_before_is_linked_to_them(tmp_path: Path) -> None:
    rates: list[Any] = []

    def step() -> Any:
        rate = tf.sqrt(4.0) if rates else tf.constant(0.5)  # the first step differs, as momentum does
        rates.append(rate)
        return rate * tf.ones([2])

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step), steps=3)
    (root,) = logged.slots("Sqrt")
    first, later = logged.slots("Mul")
    assert root not in logged.table[first].inputs
    assert root in logged.table[later].inputs
    assert logged.value(later, "max") == 2.0


def test_variants_of_an_eager_op_are_bounded(tmp_path: Path) -> None:
    calls: list[int] = []

    def step() -> Any:
        calls.append(0)
        values = [tf.exp(0.5) for _ in calls]  # one more each step
        return values[-1] * tf.ones([2])

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step), steps=MAX_VARIANTS + 3)
    assert len(logged.slots("Exp")) == MAX_VARIANTS + 3
    assert len(logged.slots("Mul")) == MAX_VARIANTS


def test_looking_up_an_element_of_a_variable_is_no_result_of_a_step(tmp_path: Path) -> None:
    scores = tf.Variable([float("nan")] * 3, trainable=False)  # not filled yet

    def step() -> None:
        scores[1].assign(2.0)

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step), steps=2)
    (element,) = logged.slots("StridedSlice")
    assert not logged.table[element].returned


def test_jit_compiled_steps_are_measured_op_by_op(tmp_path: Path) -> None:
    @tf.function(jit_compile=True)
    def step(x: Any) -> Any:
        return tf.reduce_sum(tf.exp(x))

    logged = Logged(tmp_path, tb_numstab.watch(every=1)(step), tf.constant([100.0, 1.0]))
    (slot,) = logged.slots("Exp")
    assert logged.value(slot, "pos_inf") == 1
    assert logged.value(slot, "overflow") == 1
