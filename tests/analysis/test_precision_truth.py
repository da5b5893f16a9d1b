"""What is predicted from float32 is what TensorFlow does in float16 and bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.precision import Precision, precision_advice
from tb_numstab.analysis.spread import Spread
from tb_numstab.analysis.what_if import outcome
from tb_numstab.schema.formats import FORMATS
from tb_numstab.store.event_files import read_runs

STEPS, RATE = 12, 3e-2
LARGE = 150.0
"""Size of inputs whose squares leave float16."""


def training(dtype: Any, size: float) -> Callable[[int], Any]:
    """Two layers behind a norm, which leaves float16 for inputs of a large size; gradient descent in ``dtype``."""
    random = np.random.default_rng(0)
    batches = random.normal(size=(STEPS, 32, 16)) * size
    kernels = [random.normal(size=shape) * 0.25 for shape in ((16, 24), (24, 8))]
    w, v = (tf.Variable(kernel, dtype=dtype) for kernel in kernels)

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            x = tf.cast(x, dtype)
            energy = tf.square(x)
            total = tf.reduce_sum(energy, 1, keepdims=True)
            h = tf.nn.tanh(x / tf.sqrt(total + tf.cast(1e-8, dtype)) @ w)
            loss = tf.reduce_mean(tf.square(h @ v))
        for variable, gradient in zip((w, v), tape.gradient(loss, (w, v)), strict=True):
            variable.assign_sub(tf.cast(RATE, dtype) * gradient)
        return loss

    return lambda i: step(tf.constant(batches[i], tf.float32))


def faint(dtype: Any, scale: float) -> Callable[[int], Any]:
    """One layer in ``dtype`` with gradients of about 1e-7, before the loss is scaled."""
    random = np.random.default_rng(1)
    batches = random.normal(size=(STEPS, 32, 64))
    w = tf.Variable(random.normal(size=(64, 8)) * 0.1, dtype=tf.float32)

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            y = tf.cast(x, dtype) @ tf.cast(w, dtype)
            loss = 1e-6 * tf.reduce_mean(tf.square(tf.cast(y, tf.float32)))
            scaled = scale * loss
        w.assign_sub(tape.gradient(scaled, w) / scale)
        return loss

    return lambda i: step(tf.constant(batches[i], tf.float32))


class Logged:
    """A watched training, read back."""

    def __init__(self, folder: Path, training: Callable[[int], Any]) -> None:
        step = tb_numstab.watch(every=1)(training)
        with tf.summary.create_file_writer(str(folder)).as_default():
            for i in range(STEPS):
                step(i)
                tb_numstab.log_step(i)
        (self.session,) = read_runs(str(folder))[0].sessions
        self.graph, self.spread = OpGraph(self.session.table), Spread()
        for record in self.session.records():
            self.spread.feed(self.graph, record)

    @property
    def advice(self) -> Precision:
        return precision_advice(self.graph, self.spread)

    def zeros(self) -> float:
        """Share of zeros in the gradient of the product."""
        (slot,) = [
            slot for slot, site in enumerate(self.graph.sites) if site.op_type == "MatMul" and site.gradient_of >= 0
        ]
        return float(self.spread.total("zero")[slot] / self.spread.total("size")[slot])

    def counted(self, column: str) -> set[str]:
        """Types of the ops that a column counted elements of."""
        return {self.graph.sites[s].op_type for s in np.flatnonzero(self.spread.total(column) > 0)}


@pytest.fixture(scope="module")
def float32(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    return Logged(tmp_path_factory.mktemp("float32"), training(tf.float32, LARGE))


@pytest.fixture(scope="module")
def float16(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    return Logged(tmp_path_factory.mktemp("float16"), training(tf.float16, LARGE))


def test_the_ops_that_overflow_are_those_predicted(float32: Logged, float16: Logged) -> None:
    predicted = {float32.graph.sites[k.slot].op_type for k in float32.advice.of("float16").keep}
    overflowed = float16.counted("overflow")
    assert "Square" in predicted & overflowed
    assert predicted - overflowed <= {"AddV2"}  # that one is named for its 1e-8
    assert overflowed <= predicted


def test_as_many_elements_overflow_as_predicted(float32: Logged, float16: Logged) -> None:
    def share(run: Logged) -> float:
        slots = np.array([s for s, site in enumerate(run.graph.sites) if site.op_type == "Square"][:1])
        found = outcome(run.graph, run.spread, slots, FORMATS["float16"])
        return float(found.over[0] / found.total[0])

    assert 0.02 < share(float16) < 0.3
    assert share(float32) == pytest.approx(share(float16), abs=0.06)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_as_many_updates_are_lost_as_predicted(tmp_path: Path, name: str) -> None:
    def lost(dtype: str) -> float:
        parts = Logged(tmp_path / dtype, training(tf.as_dtype(dtype), size=1.0)).advice.of(name).parts
        (share,) = [p.lost for p in parts if p.name == "weights"]
        assert share is not None
        return share

    predicted, counted = lost("float32"), lost(name)
    assert 0.3 < counted < 0.98
    assert predicted == pytest.approx(counted, abs=0.1)


def test_bfloat16_overflows_nowhere(float32: Logged, tmp_path: Path) -> None:
    assert float32.advice.of("bfloat16").keep == ()
    assert Logged(tmp_path, training(tf.bfloat16, LARGE)).counted("overflow") == set()


def test_the_suggested_loss_scale_saves_the_gradients(tmp_path: Path) -> None:
    advice = Logged(tmp_path / "float32", faint(tf.float32, 1.0)).advice.of("float16")
    scale = advice.loss_scale
    assert scale is not None
    lost = Logged(tmp_path / "bare", faint(tf.float16, 1.0)).zeros()
    assert 0.2 < scale.underflow <= lost  # what is lost upstream is lost downstream too
    for exponent in {scale.low, scale.exponent, scale.high}:
        run = Logged(tmp_path / str(exponent), faint(tf.float16, 2.0**exponent))
        assert run.zeros() < 0.01
        assert "overflow" not in {k.reason for k in run.advice.of("float16").keep}
        assert run.counted("overflow") == set()
