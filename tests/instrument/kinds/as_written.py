"""Steps as people write them: what surrounds the arithmetic is the difficulty."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.instrument.kinds import (
    BAD,
    STEPS,
    WIDTH,
    Kind,
    Watching,
    batch,
    log_of_sum,
    ones,
    run,
    training_step,
)


def default_arguments(watching: Watching) -> Sequence[Any]:
    """Parameters that the call leaves out."""
    w = ones()
    loss_of = log_of_sum(w)

    @tf.function
    def step(x: Any, training: bool = True, *, rate: float = 0.01) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(x)
        w.assign_sub(rate * tape.gradient(loss, w))
        return loss if training else None

    run(watching, step)
    return [w]


def results_of_all_kinds(watching: Watching) -> Sequence[Any]:
    """Text, whole numbers, a flag, nothing, and variables of these types."""
    w, count, names = ones(), tf.Variable(0, dtype=tf.int64), tf.Variable("a")
    train = training_step(log_of_sum(w), w)

    @tf.function
    def step(x: Any) -> Any:
        count.assign_add(1)
        names.assign(tf.strings.join([names, "b"]))
        return {"loss": train(x), "count": count, "names": names.read_value(), "odd": count % 2 == 1, "none": None}

    run(watching, step)
    return [w, count, names]


def watched_in_turn(watching: Watching) -> Sequence[Any]:
    """A GAN of two watched functions: the critic's turn is every even step, the generator's every odd one."""
    critic, generator = ones(), ones()
    train_critic = training_step(lambda x: -tf.reduce_mean(tf.tanh(x * critic)), critic)
    train_generator = training_step(log_of_sum(generator), generator)

    turns = [watching.watch(tf.function(train)) for train in (train_critic, train_generator)]
    for i in range(STEPS):
        turns[i % 2](tf.constant(batch(i)))
        watching.log(i)
    return [critic, generator]


def two_batches() -> Any:
    """A dataset of (batch, the same without zeros), of which the first has zeros."""
    rows = np.concatenate([batch(BAD), batch(BAD + 1)])
    return tf.data.Dataset.from_tensor_slices(rows).map(lambda x: (x, x + 0.1)).batch(8).prefetch(1)


def dataset_gone_through(watching: Watching) -> Sequence[Any]:
    """A whole epoch in one call."""
    w, calls, data = ones(), tf.Variable(0), two_batches()
    train = training_step(log_of_sum(w), w)

    @tf.function
    def epoch() -> Any:
        total = 0.0
        for as_is, positive in data:
            total += train(tf.where(calls == BAD, as_is, positive))
        calls.assign_add(1)
        return total

    run(watching, epoch, lambda i: [])
    return [w]


def iterator_made_inside(watching: Watching) -> Sequence[Any]:
    """The same, with an iterator that lives as long as the call."""
    w, calls, data = ones(), tf.Variable(0), two_batches()
    train = training_step(log_of_sum(w), w)

    @tf.function
    def epoch() -> Any:
        batches, total = iter(data), 0.0
        for _ in tf.range(2):
            as_is, positive = next(batches)
            total += train(tf.where(calls == BAD, as_is, positive))
        calls.assign_add(1)
        return total

    run(watching, epoch, lambda i: [])
    return [w]


def forward_mode(watching: Watching) -> Sequence[Any]:
    """The square root's derivative at zero, without any backpropagation."""
    w = ones()

    @tf.function
    def step(x: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(w, tf.ones_like(w)) as accumulator:
            norm = tf.sqrt(tf.reduce_sum(tf.square(x * w), 1))  # origin
        slope = tf.reduce_mean(accumulator.jvp(norm))
        w.assign_sub(0.001 * slope * w)
        return slope

    run(watching, step)
    return [w]


def loaded_model(watching: Watching) -> Sequence[Any]:
    """A function of a SavedModel inside the step is one op."""

    class Model(tf.Module):  # type: ignore[misc]  # TensorFlow is untyped
        def __init__(self) -> None:
            self.w = tf.Variable(tf.ones([WIDTH]))

        @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.float32)])
        def score(self, x: Any) -> Any:
            return tf.math.log(tf.reduce_sum(x * self.w, 1))

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(Model(), folder)
        model = tf.saved_model.load(folder)

    def loss(x: Any) -> Any:
        return -tf.reduce_mean(model.score(x))  # origin

    run(watching, tf.function(training_step(loss, model.w)))
    return [model.w]


def graph_with_python_inside(watching: Watching) -> Sequence[Any]:
    """A concrete function inside the step: one op, and its Python code still runs once a step."""
    w = ones()
    seen: list[float] = []

    @tf.function
    def score(x: Any) -> Any:
        tf.py_function(lambda v: seen.append(float(v[0])), [x[:, 0]], [])
        return tf.reduce_sum(x * w, 1)

    graph = score.get_concrete_function(tf.TensorSpec([None, WIDTH]))

    def loss(x: Any) -> Any:
        return -tf.reduce_mean(tf.math.log(graph(x)))  # origin

    run(watching, tf.function(training_step(loss, w)))
    return [w, seen]


def summaries_inside(watching: Watching) -> Sequence[Any]:
    """The step writes its own summaries, with a writer that it makes the default one itself."""
    w, count = ones(), tf.Variable(0, dtype=tf.int64)
    train = training_step(log_of_sum(w), w)
    with tempfile.TemporaryDirectory() as folder:
        writer = tf.summary.create_file_writer(folder)

        @tf.function
        def step(x: Any) -> Any:
            loss = train(x)
            count.assign_add(1)
            with writer.as_default():
                tf.summary.scalar("loss", loss, step=count)
            return loss

        run(watching, step)
        writer.close()
    return [w, count]


KINDS: tuple[Kind, ...] = (
    default_arguments,
    results_of_all_kinds,
    watched_in_turn,
    dataset_gone_through,
    iterator_made_inside,
    forward_mode,
    loaded_model,
    graph_with_python_inside,
    summaries_inside,
)
