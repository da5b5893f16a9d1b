"""Every kind of training step, each as one function that trains a few steps and hits a real NaN.

A kind gets a Watching and returns every variable that its training changed. The line where the NaN
begins carries the comment ``# origin``; batch BAD is the one that makes it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tb_numstab

STEPS, BAD, ROWS, WIDTH = 14, 5, 8, 4
EVERY = 1000
"""Only step 0 is measured by itself: whatever is known about batch BAD comes from its replay."""


class Watching:
    """A training left alone; ``Watched`` is the same one watched."""

    def watch(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The callable that makes one training step."""
        return step

    def log(self, step: int) -> None:
        """Called after each step of a custom loop."""

    def callbacks(self) -> list[Any]:
        """Callbacks for ``fit``."""
        return []

    def attach(self, model: Any) -> None:
        """Called before a loop of ``train_on_batch``."""

    def hooks(self) -> list[Any]:
        """Hooks for a MonitoredSession."""
        return []

    def session_run(self, session: Any) -> Callable[..., Any]:
        """What stands for ``session.run``."""
        return session.run  # type: ignore[no-any-return]  # TensorFlow is untyped

    def finish(self) -> None:
        """The training is over."""


@dataclass
class Watched(Watching):
    """Watches a training as its user would.

    Attributes:
      logdir: folder of the run.
      health: after the last step.
      measured: the steps that have a record.
    """

    logdir: Path
    health: tb_numstab.StepHealth | None = None
    measured: list[int] = field(default_factory=list)
    _callback: Any = None
    _attached: Any = None

    def __post_init__(self) -> None:
        self._writer = tf.summary.create_file_writer(str(self.logdir))

    def watch(self, step: Callable[..., Any]) -> Callable[..., Any]:
        return tb_numstab.watch(every=EVERY)(step)

    def log(self, step: int) -> None:
        with self._writer.as_default():
            self._see(tb_numstab.log_step(step))

    def callbacks(self) -> list[Any]:
        watched = self

        class Health(tb_numstab.NumericalHealth):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                super().on_train_batch_end(batch, logs)
                watched._see(self.health)

            def on_train_end(self, logs: Any = None) -> None:
                super().on_train_end(logs)
                watched._see(self.health)

        self._callback = Health(str(self.logdir), every=EVERY)
        return [self._callback]

    def attach(self, model: Any) -> None:
        self._attached = self.callbacks()[0].attach(model)
        self._attached.__enter__()

    def hooks(self) -> list[Any]:
        watched = self

        class Hook(tb_numstab.HealthHook):
            def after_run(self, run_context: Any, run_values: Any) -> None:
                super().after_run(run_context, run_values)
                watched._see(self.health)

        return [Hook(str(self.logdir), every=EVERY)]

    def session_run(self, session: Any) -> Callable[..., Any]:
        return functools.partial(self.hooks()[0].run, session)

    def finish(self) -> None:
        if self._attached is not None:
            self._attached.__exit__(None, None, None)

    def _see(self, health: tb_numstab.StepHealth | None) -> None:
        assert health is not None
        self.health = health
        if health.measured:
            self.measured.append(health.step)


Kind = Callable[[Watching], Sequence[Any]]


def batch(index: int, rows: int = ROWS) -> np.ndarray:
    """Batch ``index``, float32 [rows, WIDTH]; positive, but for the row of zeros in batch BAD."""
    x = np.random.RandomState(index).uniform(0.5, 1.5, [rows, WIDTH]).astype("float32")
    if index == BAD:
        x[1] = 0.0
    return x


def run(watching: Watching, step: Callable[..., Any], arguments: Callable[[int], Sequence[Any]] | None = None) -> None:
    """A custom training loop."""
    step = watching.watch(step)
    for i in range(STEPS):
        step(*((tf.constant(batch(i)),) if arguments is None else arguments(i)))
        watching.log(i)


def descend(tape: tf.GradientTape, loss: Any, *variables: tf.Variable) -> None:
    """Plain gradient descent."""
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.01 * gradient)


def training_step(loss: Callable[..., Any], *variables: tf.Variable) -> Callable[..., Any]:
    """The step that most kinds take: forward pass under a tape, backward pass, descent."""

    def step(*arguments: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(*arguments)
        descend(tape, value, *variables)
        return value

    return step


def log_of_sum(w: tf.Variable) -> Callable[[Any], Any]:
    """The loss of the kinds that are special elsewhere."""

    def loss(x: Any) -> Any:
        return -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))  # origin

    return loss


def ones() -> tf.Variable:
    """A weight for each column."""
    return tf.Variable(tf.ones([WIDTH]))


def origin_line(kind: Kind) -> tuple[str, int]:
    """File and line of the NaN's origin, as a comment says in the kind or in a function that it uses."""
    used: list[Any] = [kind, *inspect.getclosurevars(kind).globals.values()]
    found = set()
    for function in filter(inspect.isfunction, used):
        lines, first = inspect.getsourcelines(function)
        where = [first + i for i, text in enumerate(lines) if text.rstrip().endswith("# origin")]
        found |= {(inspect.getsourcefile(function) or "", line) for line in where}
    (origin,) = found
    return origin
