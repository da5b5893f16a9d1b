"""What is said about how a real training is set up, and what is not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tb_numstab.analysis.finding import Finding, Severity
from tb_numstab.analysis.rules import RULES
from tests.analysis.descents import descend
from tests.analysis.programs import data, judge, op, returned_mean, variable
from tests.analysis.trainings import (
    batch_normalised,
    behind,
    dense,
    normal,
    normalised,
    outliers,
    scaled_by_hand,
    steep,
    train,
)
from tests.support.numpy_trace import Trace

Findings = dict[str, Finding]
PROGRAMS = ("descents.py", "trainings.py", "test_training.py")
SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam
Constant = keras.initializers.Constant


def overflowing(initial_scale: float) -> Findings:
    """Every step's gradients overflow in float16."""
    scaled = keras.optimizers.LossScaleOptimizer(SGD(0.01), initial_scale=initial_scale)
    return train(dense(8), scaled, steep, policy="mixed_float16", steps=14)


def tiny(y: Any, predicted: Any) -> Any:
    """A loss in float32 whose gradient is below what float16 holds."""
    return 1e-9 * tf.reduce_mean(tf.square(tf.cast(predicted, tf.float32) - y))


def cross_entropy_by_hand(y: Any, logits: Any) -> Any:
    """Sigmoid cross-entropy, for labels of 1."""
    return -tf.reduce_mean(tf.math.log(tf.sigmoid(logits)))


def cross_entropy(y: Any, logits: Any) -> Any:
    """The same, in one op."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(logits), logits))


@functools.cache
def in_balance() -> Findings:
    """The first loss scales are too large, then one is found."""
    scaled = keras.optimizers.LossScaleOptimizer(SGD(0.01), initial_scale=2.0**20)
    return train(dense(8), scaled, policy="mixed_float16")


def squared_distances(offset: float) -> Findings:
    centers = tf.constant(offset + np.random.default_rng(2).normal(size=(4, 8)), tf.float32)

    def distances(x: Any) -> Any:
        a = x + offset
        squares = tf.reduce_sum(tf.square(a), 1, keepdims=True)
        product = tf.matmul(a, centers, transpose_b=True)
        return squares - 2.0 * product + tf.reduce_sum(tf.square(centers), 1)

    return train(behind(distances), SGD(1e-20))


def difference_of_squares(offset: float) -> Findings:
    return train(behind(lambda x: tf.square(x + offset) - tf.square(x + offset + 1e-3)), SGD(1e-6))


def log_gammas(r: float) -> Findings:
    size = tf.constant(r)
    return train(behind(lambda x: tf.math.lgamma(tf.abs(x) + size) - tf.math.lgamma(size)), SGD(1e-6))


def angles(size: float) -> Findings:
    def between(x: Any) -> Any:
        other = x + size
        return tf.acos(tf.minimum(tf.cos(x) * tf.cos(other) + tf.sin(x) * tf.sin(other), 1.0))

    return train(behind(between))


# rule -> (a training it must speak about, one like it where nothing is wrong)
PAIRS: dict[str, tuple[Callable[[], Findings], Callable[[], Findings]]] = {
    "activation-saturated": (
        lambda: train(dense(16, 16, activation="tanh", kernels=normal(60.0))),
        lambda: train(dense(16, 16, activation="tanh", kernels=normal(0.3))),
    ),
    "activations-drift": (
        lambda: train(dense(64, 64, 64, kernels=normal(2.0), last=normal(2.0)), SGD(1e-12), steps=2),
        lambda: train(dense(64, 64, 64), steps=2),
    ),
    "kernels-symmetric": (
        lambda: train(dense(8, kernels="ones", last="ones"), steps=2),
        lambda: train(dense(8, last="zeros"), steps=2),
    ),
    "variance-below-epsilon": (
        lambda: train(normalised(1e-3), scale=lambda step: 1e-3),
        lambda: train(normalised(1e-3)),
    ),
    "moving-variance-off": (
        lambda: train(batch_normalised, steps=30, scale=lambda step: 100.0 if step == 24 else 1.0),
        lambda: train(batch_normalised, steps=30),
    ),
    "gradient-vanishes": (
        lambda: train(dense(*[8] * 7, activation="sigmoid", kernels=normal(0.1))),
        lambda: train(dense(*[8] * 7)),
    ),
    "learning-rate-high": (
        lambda: train(dense(16, activation="tanh"), ADAM(2.0), steps=32),
        lambda: train(dense(16, activation="tanh"), ADAM(0.02), steps=32),
    ),
    "learning-rate-low": (
        lambda: train(dense(16), SGD(1e-8), steps=70),
        lambda: train(dense(16), SGD(1e-2), steps=70),
    ),
    "gradient-spikes": (
        lambda: train(dense(16), SGD(1e-6), steps=30, scale=outliers),
        lambda: train(dense(16), SGD(1e-6, global_clipnorm=1.0), steps=30, scale=outliers),
    ),
    "relu-layer-dead": (
        lambda: train(lambda: [keras.layers.Dense(8, "relu", bias_initializer=Constant(-50.0)), keras.layers.Dense(1)]),
        lambda: train(dense(8)),
    ),
    "learning-rate-diverges": (lambda: descend(1.5), lambda: descend(0.9)),
    "learning-rate-oscillates": (lambda: descend(1.0), lambda: descend(0.9)),
    "gradients-reverse": (lambda: descend(0.97), lambda: descend(0.4)),
    "updates-skipped": (lambda: scaled_by_hand(2.0**20), lambda: scaled_by_hand(2.0**8)),
    "loss-scale-below-one": (lambda: overflowing(16.0), in_balance),
    "loss-scale-falling": (lambda: overflowing(2.0**15), in_balance),
    "optimizer-epsilon-dominates": (
        lambda: train(dense(16), ADAM(0.01, epsilon=10.0)),
        lambda: train(dense(16), ADAM(0.01)),
    ),
    "update-lost": (
        lambda: train(dense(16), SGD(1e-5), policy="bfloat16"),
        lambda: train(dense(16), SGD(1e-5), policy="mixed_bfloat16"),
    ),
    "gradient-underflow": (
        lambda: train(dense(16), loss=tiny, policy="mixed_float16"),
        lambda: train(dense(16), loss=tiny, policy="mixed_bfloat16"),
    ),
    "squared-distance-cancelled": (lambda: squared_distances(5e6), lambda: squared_distances(2.0)),
    "difference-of-data-cancelled": (lambda: difference_of_squares(1e4), lambda: difference_of_squares(1.0)),
    "log-gamma-difference": (lambda: log_gammas(1e6), lambda: log_gammas(1e3)),
    "angle-of-parallel-data": (lambda: angles(1e-4), lambda: angles(0.1)),
    "data-lost-beside-number": (
        lambda: train(behind(lambda x: tf.math.log(1.0 + 1e-9 * x))),
        lambda: train(behind(lambda x: tf.math.log1p(1e-9 * x))),
    ),
    "data-underflow": (
        lambda: train(behind(lambda x: tf.cast(tf.cast(1e-7 * x, tf.float16), tf.float32))),
        lambda: train(behind(lambda x: tf.cast(tf.cast(0.1 * x, tf.float16), tf.float32))),
    ),
    "log-of-probability": (
        lambda: train(dense(16), loss=cross_entropy_by_hand),
        lambda: train(dense(16), loss=cross_entropy),
    ),
}


@functools.cache
def spoken_about(rule: str) -> Finding:
    """What a rule says of the training it must speak about."""
    return PAIRS[rule][0]()[rule]


@pytest.mark.parametrize("rule", PAIRS)
def test_a_rule_speaks_of_a_real_training(rule: str) -> None:
    finding = spoken_about(rule)
    (expected,) = [r for r in RULES if r.id == rule]
    assert (finding.severity, finding.certainty) == (expected.severity, expected.certainty)
    assert finding.site.source is not None and finding.site.source.file.endswith(PROGRAMS)
    assert "nan" not in finding.summary


@pytest.mark.parametrize("rule", PAIRS)
def test_nothing_is_said_of_a_healthy_one(rule: str) -> None:
    found = PAIRS[rule][1]()
    assert rule not in found
    assert [f.summary for f in found.values() if f.severity is not Severity.INFO] == []


def test_the_suggested_norm_is_that_of_usual_steps() -> None:
    numbers = spoken_about("gradient-spikes").numbers
    assert numbers["n.usual"] < numbers["n.clipnorm"] < 4 * numbers["n.usual"] < numbers["n.norm"]


@pytest.mark.parametrize(("same", "chained", "said"), [(False, True, True), (True, True, False), (False, False, False)])
def test_only_two_kernels_in_a_row_stay_equal(same: bool, chained: bool, said: bool) -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, np.ones((2, 3)))
        w = variable(trace, np.zeros((3, 3)), name="w")
        v = variable(trace, np.zeros((3, 3)), name="w" if same else "v")
        hidden = op(trace, "MatMul", x.array @ w.array, x, w)
        second = op(trace, "MatMul", hidden.array @ v.array, hidden if chained else x, v)
        returned_mean(trace, second)

    assert ("kernels-symmetric" in {f.rule for f in judge(step).findings()}) == said
