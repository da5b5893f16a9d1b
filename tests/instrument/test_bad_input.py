"""What a user may do wrong, and what may break inside: a clear message or a quiet skip, and training goes on."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tb_numstab.analysis.origin import Source
from tb_numstab.instrument import collector, recorder, run_log, twin
from tests.instrument.kinds import WIDTH, batch, descend


def make_step() -> tuple[tf.Variable, Any]:
    w = tf.Variable(tf.ones([WIDTH]))

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.reduce_sum(x * w, 1)))
        descend(tape, loss, w)
        return loss

    return w, step


def train(watched: bool, steps: int = 4) -> bytes:
    """The bits of the weights after some steps."""
    w, step = make_step()
    step = tb_numstab.watch(every=2)(step) if watched else step
    for i in range(steps):
        step(tf.constant(batch(i)))
        if watched:
            tb_numstab.log_step(i)
    return np.asarray(w).tobytes()


# ---- wrong use


def test_a_missing_step() -> None:
    with pytest.raises(ValueError, match=r"log_step needs a step: pass log_step\(step\)"):
        tb_numstab.log_step()


def test_the_step_of_tf_summary_will_do(tmp_path: Path) -> None:
    with tf.summary.create_file_writer(str(tmp_path)).as_default(tf.Variable(7, dtype=tf.int64)):
        assert tb_numstab.log_step().step == 7


def test_no_writer_is_said_once_and_health_is_known(said: Callable[[], list[str]]) -> None:
    step = tb_numstab.watch(every=1)(make_step()[1])
    for i in range(3):
        step(tf.constant(batch(i)))
        health = tb_numstab.log_step(i)
    assert health.measured and health.ok
    (message,) = said()
    assert "log_step found no default summary writer" in message


def test_log_step_inside_a_function() -> None:
    with pytest.raises(RuntimeError, match="outside any tf.function"):
        tf.function(lambda: tb_numstab.log_step(0), autograph=False)()


def test_not_a_callable() -> None:
    with pytest.raises(TypeError, match="watch takes the callable that runs one training step; got 3"):
        tb_numstab.watch(every=1)(3)  # type: ignore[type-var]


# ---- unusual data


def test_nan_in_the_data_is_called_what_it_is() -> None:
    step = tb_numstab.watch(every=1)(make_step()[1])
    x = batch(0)
    x[0, 0] = np.nan
    step(tf.constant(x))
    health = tb_numstab.log_step(0)
    assert health.origin is not None and health.origin.source is Source.INPUT
    (finding,) = health.findings
    assert finding.summary.startswith("x holds NaN in 1 of ")
    assert finding.fix.after == "if tf.reduce_all(tf.math.is_finite(x)): train_step(...)"


def inputs(x: float, y: float) -> tuple[dict[str, Any], Any]:
    """Two examples; the last has these values in its part called "image", and for its label."""
    image = tf.constant([[1.0, 1.0], [1.0, x]])
    return {"image": image, "text": tf.constant(["a", "b"])}, tf.constant([1.0, y])


def loss_of(w: tf.Variable, features: dict[str, Any], y: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.reduce_sum(features["image"] * w, 1) - y))


def of_arguments(data: tuple[Any, Any], w: tf.Variable) -> Any:
    @tb_numstab.watch(every=1)
    @tf.function
    def step(batch: Any, labels: Any) -> Any:
        return loss_of(w, batch, labels)

    return step(data[0], labels=data[1])


def of_an_iterator(data: tuple[Any, Any], w: tf.Variable) -> Any:
    @tb_numstab.watch(every=1)
    @tf.function
    def step(iterator: Any) -> Any:
        return loss_of(w, *next(iterator))

    return step(iter(tf.data.Dataset.from_tensors(data)))


def of_a_captured_iterator(data: tuple[Any, Any], w: tf.Variable) -> Any:
    iterator = iter(tf.data.Dataset.from_tensors(data))

    @tb_numstab.watch(every=1)
    @tf.function
    def step() -> Any:
        return loss_of(w, *next(iterator))

    return step()


@pytest.mark.parametrize(
    ("train", "data", "name"),
    [
        (of_arguments, inputs(np.nan, 1.0), "batch['image']"),
        (of_arguments, inputs(1.0, np.inf), "labels"),
        (of_an_iterator, inputs(np.nan, 1.0), "element[0]['image']"),
        (of_an_iterator, inputs(1.0, np.nan), "element[1]"),
        (of_a_captured_iterator, inputs(1.0, np.nan), "element[1]"),
    ],
)
def test_the_part_of_the_data_is_named_and_filtered(train: Any, data: Any, name: str) -> None:
    train(data, tf.Variable([1.0, 1.0]))
    (finding,) = tb_numstab.log_step(0).findings
    assert finding.summary.startswith(f"{name} holds ")
    assert f"tf.math.is_finite({name})" in finding.fix.after


def test_what_filters_the_data_is_code_that_does(tmp_path: Path) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(inputs(1.0, np.nan)).batch(1)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    health = tb_numstab.NumericalHealth(str(tmp_path), every=1)
    model.fit(dataset.map(lambda x, y: (x["image"], y)), verbose=0, callbacks=[health])
    assert health.health is not None
    (finding,) = health.health.findings
    assert "such as (x, y); element[1] is its 2nd part." in finding.fix.text
    assert len(list(eval(finding.fix.after, {"dataset": dataset, "tf": tf}))) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_every_dtype_and_shape_passes(compiled: bool, said: Callable[[], list[str]]) -> None:
    def step(real: Any, empty: Any, whole: Any, name: Any, ragged: Any) -> Any:
        spectrum = tf.abs(tf.signal.fft(tf.cast(real, tf.complex64)))
        shaped = tf.reshape(tf.identity(real) * 2.0, whole)  # of unknown rank before and after
        return (
            tf.reduce_sum(empty), tf.reduce_max(spectrum), tf.strings.length(name), whole + 1, real > 0,
            tf.reduce_sum(shaped), ragged * 2.0, tf.sparse.from_dense(real), tf.cast(real, tf.float64),
            tf.cast(real, tf.bfloat16), tf.quantization.fake_quant_with_min_max_args(real),
        )  # fmt: skip

    arguments = (
        tf.constant([1.0, 2.0]), tf.zeros([0, 3]), tf.constant([2, 1]), tf.constant("text"),
        tf.ragged.constant([[1.0], [], [2.0, 3.0]]),
    )  # fmt: skip
    any_shape = [tf.TensorSpec(None, dtype) for dtype in (tf.float32, tf.float32, tf.int32, tf.string)]
    signature = [*any_shape, tf.RaggedTensorSpec([None, None], tf.float32)]
    watched = tb_numstab.watch(every=1)(tf.function(step, input_signature=signature) if compiled else step)
    watched(*arguments)
    health = tb_numstab.log_step(0)
    assert health.measured and health.ok
    assert all("no default summary writer" in message for message in said())


# ---- broken insides


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (collector.Collector, "measure"),
        (collector.Collector, "finish"),
        (twin, "Twin"),
        (run_log, "encode_record"),
        (recorder, "add_op_callback"),  # TensorFlow's private hook
    ],
)
def test_training_survives(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise AttributeError("broken on purpose")

    expected = train(watched=False)
    monkeypatch.setattr(owner, name, broken)
    assert train(watched=True) == expected
    messages = [message for message in said() if "no default summary writer" not in message]
    assert messages and all("broken on purpose" in message for message in messages)
    assert all(message.endswith("Training goes on unchanged.") for message in messages)
    assert len(messages) == len(set(messages))


def test_a_failure_that_words_itself_anew_each_time_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    numbers = itertools.count()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"{{{{node gradients}}}} tensor {next(numbers)} is wrong\n\tDefined at line 7 [Op:Log]")

    monkeypatch.setattr(run_log, "encode_record", broken)
    train(watched=True)
    assert next(numbers) > 1
    (message,) = [message for message in said() if "no default summary writer" not in message]
    expected = "this step is not logged: ValueError: tensor 0 is wrong. Training goes on unchanged."
    assert message == f"tb_numstab: {expected}"


SCRIPT = """
import sys

class Gone:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

import tensorflow as tf
parent, _, leaf = {module!r}.rpartition(".")
del sys.modules[{module!r}], sys.modules[parent].__dict__[leaf]
sys.meta_path.insert(0, Gone())
import keras, numpy, tb_numstab

@tb_numstab.watch(every=1)
@tf.function
def step(x):
    return x + 1.0

with tf.summary.create_file_writer("logs").as_default():
    step(tf.constant(1.0))
    health = tb_numstab.log_step(0)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(numpy.ones((4, 2)), numpy.ones((4, 1)), verbose=0, callbacks=[tb_numstab.NumericalHealth("logs")])
print(health.measured, health.ok)
"""


def test_a_tensorflow_without_the_private_module(tmp_path: Path) -> None:
    script = SCRIPT.format(module="tensorflow.python.eager.polymorphic_function.tracing_compilation")
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["False", "True"]
    said = [line for line in run.stderr.splitlines() if line.startswith("tb_numstab:")]
    assert len(set(said)) == len(said) == 1, said
    assert "so nothing is measured" in said[0] and "tracing_compilation" in said[0]


def test_a_second_training_in_one_process_starts_with_a_clean_record(tmp_path: Path) -> None:
    """As when a notebook's cell is run again, with the same writer or without any."""
    bad = batch(0)
    bad[0, 0] = np.nan
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for data, ok in ((bad, False), (batch(0), True)):
            step = tb_numstab.watch(every=1)(make_step()[1])
            for i in range(3):
                step(tf.constant(data))
                health = tb_numstab.log_step(i)
            assert health.ok is ok
    assert len(tb_numstab.load_run(str(tmp_path)).sessions) == 2
