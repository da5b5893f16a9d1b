"""Small trainings that show whether measuring works in this environment.

``python -m tb_numstab.instrument.self_test LOGDIR`` trains them into LOGDIR and prints one JSON object: by the name of
each training "" or what went wrong, and the devices TensorFlow sees. ``tb-numstab doctor`` runs it in a process of its
own, because the command line itself does not import TensorFlow.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tb_numstab.instrument.health import StepHealth
from tb_numstab.instrument.keras import NumericalHealth
from tb_numstab.instrument.logger import log_step
from tb_numstab.instrument.session import HealthHook
from tb_numstab.instrument.watch import watch

BAD_STEP = 3


def log_of_zero(log_dir: str, every: int, compiled: Callable[[Any], Any] = tf.function) -> None:
    """Takes the logarithm of a variable that reaches 0 at BAD_STEP.

    Args:
      log_dir: folder of the run.
      every: as in ``watch``.
      compiled: makes the step of a Python function.

    Raises:
      RuntimeError: the op or the step was not named.
    """
    remaining = tf.Variable(float(BAD_STEP))

    def train_step() -> tf.Tensor:
        loss = tf.math.log(remaining)
        remaining.assign_sub(1.0)
        return loss

    watched = watch(every=every)(compiled(train_step))
    with tf.summary.create_file_writer(log_dir).as_default():
        for step in range(BAD_STEP + 1):
            watched()
            health = log_step(step)
    finding = health.verdict.finding
    if finding is None or (finding.site.op_type, finding.first_step) != ("Log", BAD_STEP):
        raise RuntimeError(f"log(0) in step {BAD_STEP} was not named; the verdict is: {health.verdict.text}")


def keras_fit(log_dir: str) -> None:
    """Fits one layer to ones.

    Raises:
      RuntimeError: it was not measured, or not called healthy.
    """
    callback = NumericalHealth(log_dir, every=1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[callback])
    _expect_healthy(callback.health)


def session(log_dir: str) -> None:
    """Moves one variable of a TensorFlow 1 graph towards 1.

    Raises:
      RuntimeError: it was not measured, or not called healthy.
    """
    v1 = tf.compat.v1
    hook = HealthHook(log_dir, every=1)
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("w", initializer=0.5, use_resource=True)
        train = v1.train.GradientDescentOptimizer(0.1).minimize(tf.square(w - 1.0))
        session.run(v1.global_variables_initializer())
        hook.run(session, train)
        hook.end(session)
    _expect_healthy(hook.health)


def _expect_healthy(health: StepHealth | None) -> None:
    if health is None or not (health.measured and health.ok):
        raise RuntimeError(f"a healthy training is not seen as one: {health}")


TRAININGS = {
    "measured step": lambda folder: log_of_zero(folder, every=1),
    "replayed step": lambda folder: log_of_zero(folder, every=10 * BAD_STEP),
    "XLA step": lambda folder: log_of_zero(folder, 1, functools.partial(tf.function, jit_compile=True)),
    "eager step": lambda folder: log_of_zero(folder, 1, lambda step: step),
    "Keras fit": keras_fit,
    "session": session,
}


def main(logdir: Path) -> None:
    report: dict[str, object] = {}
    for name, training in TRAININGS.items():
        try:
            training(str(logdir / name.replace(" ", "_")))
            report[name] = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the user wants to know
            report[name] = f"{type(error).__name__}: {error}"
    report["devices"] = [device.name for device in tf.config.list_logical_devices()]
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
