"""Trains under watch with a TensorFlow that lacks something private, or has it with another signature.

``python -m tests.support.other_tensorflow WHAT...`` prints a line of JSON for each WHAT. A WHAT is a module, a colon,
the name of a function or class in it, and perhaps a dot and the name of a method; an exclamation mark in front changes
its signature instead. Only tb_numstab sees the difference: TensorFlow needs the original.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

STEPS = 6


def replace(what: str) -> None:
    """Takes something private away, or changes its signature, for all that imports it from now on."""
    module, _, path = what.removeprefix("!").partition(":")
    name, _, method = path.partition(".")
    real = importlib.import_module(module)
    copy = ModuleType(module)
    copy.__dict__.update(real.__dict__)
    if method:
        members = {k: v for k, v in vars(getattr(real, name)).items() if not k.startswith("__") and k != method}
        setattr(copy, name, type(name, (), members))
    elif what.startswith("!"):
        setattr(copy, name, _other_signature(getattr(real, name)))
    else:
        delattr(copy, name)
    sys.modules[module] = copy
    parent, _, leaf = module.rpartition(".")
    setattr(sys.modules[parent], leaf, copy)


def _other_signature(function: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*args: Any, new: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return changed


def loop(watched: bool) -> list[float]:
    """A loop whose loss is -Inf in its fifth step."""
    import tb_numstab

    w = tf.Variable(4.0)

    @tf.function
    def step() -> tf.Tensor:
        loss = tf.math.log(w)
        w.assign_sub(1.0)
        return loss

    if not watched:
        return [float(step()) for _ in range(STEPS)]
    measured, losses = tb_numstab.watch(every=2)(step), []
    with tf.summary.create_file_writer(tempfile.mkdtemp()).as_default():
        for number in range(STEPS):
            losses.append(float(measured()))
            tb_numstab.log_step(number)
    return losses


def fit(watched: bool) -> list[float]:
    """A model that Keras fits."""
    import tb_numstab

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [tb_numstab.NumericalHealth(tempfile.mkdtemp(), every=2)] if watched else []
    history = model.fit(np.ones((20, 2)), np.ones((20, 1)), batch_size=4, verbose=0, callbacks=callbacks)
    return [float(loss) for loss in history.history["loss"]]


def session(watched: bool) -> list[float]:
    """A session of TensorFlow 1."""
    import tb_numstab

    v1 = tf.compat.v1
    with tf.Graph().as_default():
        step = v1.get_variable("total", initializer=0.0).assign_add(tf.reduce_sum(tf.ones(3)))
        hooks = [tb_numstab.HealthHook(tempfile.mkdtemp(), every=1)] if watched else []
        with v1.train.SingularMonitoredSession(hooks=hooks) as run:
            return [float(run.run(step)) for _ in range(STEPS)]


def trained_with(what: str) -> dict[str, Any]:
    """Whether the trainings are what they are unwatched, and what the user is told."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("tb_numstab").addHandler(handler)
    replace(what)
    same = [str(training(True)) == str(training(False)) for training in (loop, fit, session)]
    return {"what": what, "same": same, "said": said}


def main() -> None:
    """A process for each: TensorFlow is imported once, and tb_numstab only behind the replacement."""
    for what in sys.argv[1:]:
        if os.fork() == 0:
            print(json.dumps(trained_with(what)), flush=True)
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
