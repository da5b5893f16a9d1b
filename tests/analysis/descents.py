"""Gradient descent on a linear regression whose curvature is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tb_numstab.analysis.finding import Finding
from tests.analysis.trainings import watched

EXAMPLES = 64
DECAY = 0.01
"""Factor of the sum of squared weights in the loss."""

_RANDOM = np.random.default_rng(0)
X = (_RANDOM.normal(size=(EXAMPLES, 4)) * [1.0, 0.5, 0.4, 0.3]).astype("float32")
Y = (X.sum(1, keepdims=True) + 0.1 * _RANDOM.normal(size=(EXAMPLES, 1))).astype("float32")

CURVATURE = float(np.linalg.eigvalsh(2 / EXAMPLES * X.T @ X + 2 * DECAY * np.eye(4))[-1])
"""The largest eigenvalue of the loss's second derivative."""

FIRST_LOSS = float(np.mean(Y**2))
"""The loss at the start, where all weights are 0."""

Batch = Callable[[int], Any]
"""The examples of a step: what X and Y are indexed with."""


def everything(step: int) -> Any:
    """All examples in every step."""
    return slice(None)


def halves(step: int) -> Any:
    """One half in even steps, the other in odd ones."""
    return slice(0, EXAMPLES // 2) if step % 2 else slice(EXAMPLES // 2, None)


def drawn(step: int) -> Any:
    """Eight examples by chance."""
    return np.random.default_rng(step).integers(0, EXAMPLES, 8)


def descend(
    rate: float, batch: Batch = everything, steps: int = 80, every: int | str = 1, optimizer: Any = None
) -> dict[str, Finding]:
    """Findings by rule.

    Args:
      rate: the learning rate, as a share of 2 / CURVATURE, from where on descent diverges.
      batch: the examples of each step.
      steps: how many.
      every: which of them are measured.
      optimizer: makes a Keras optimizer of a learning rate; None for ``w -= rate * gradient`` by hand.
    """
    w = tf.Variable(tf.zeros([4, 1]))
    learning_rate = rate * 2 / CURVATURE
    apply = None if optimizer is None else optimizer(learning_rate).apply_gradients

    @tf.function
    def train(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - y)) + DECAY * tf.reduce_sum(tf.square(w))
        gradient = tape.gradient(loss, w)
        if apply is None:
            w.assign_sub(learning_rate * gradient)
        else:
            apply([(gradient, w)])
        return loss

    return watched(lambda i: train(X[batch(i)], Y[batch(i)]), steps, every)
