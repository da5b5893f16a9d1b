"""tf.distribute on two logical CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.instrument.kinds import WIDTH, Kind, Watching, batch, run
from tests.instrument.kinds.keras_fits import X, Y, model_of, trained


def two_replicas() -> tf.distribute.MirroredStrategy:
    """A strategy with two replicas."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def mirrored(watching: Watching) -> Sequence[Any]:
    """strategy.run inside a tf.function, with values made for each replica."""
    strategy = two_replicas()
    with strategy.scope():
        w = tf.Variable(tf.ones([WIDTH]))
    halves = [[tf.constant(half) for half in np.split(batch(i), 2)] for i in range(16)]

    def replica(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))  # origin
        gradient = tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(loss, w))
        w.assign_sub(0.01 * gradient)
        return loss

    @tf.function
    def step(x: Any) -> Any:
        return strategy.reduce("mean", strategy.run(replica, args=(x,)), axis=None)

    def arguments(i: int) -> Sequence[Any]:
        return [strategy.experimental_distribute_values_from_function(lambda c: halves[i][c.replica_id_in_sync_group])]

    run(watching, step, arguments)
    return list(w.values)


def mirrored_iterator(watching: Watching) -> Sequence[Any]:
    """The function takes its batches from a distributed iterator."""
    strategy = two_replicas()
    with strategy.scope():
        w = tf.Variable(tf.ones([WIDTH]))
    data = tf.data.Dataset.from_tensor_slices(np.concatenate([batch(i) for i in range(16)])).batch(8)
    batches = iter(strategy.experimental_distribute_dataset(data))

    def replica(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))  # origin
        w.assign_sub(0.01 * tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(loss, w)))
        return loss

    @tf.function
    def step(iterator: Any) -> Any:
        return strategy.reduce("mean", strategy.run(replica, args=(next(iterator),)), axis=None)

    run(watching, step, lambda i: [batches])
    return list(w.values)


def mirrored_fit(watching: Watching) -> Sequence[Any]:
    """Keras under a strategy."""

    def loss(y: Any, p: Any) -> Any:
        return -y * tf.math.log(p)  # origin

    with two_replicas().scope():
        model = model_of(loss)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    model.fit(data, verbose=0, callbacks=watching.callbacks())
    return [keras.ops.convert_to_numpy(v) for v in trained(model)]


def mirrored_eager(watching: Watching) -> Sequence[Any]:
    """strategy.run outside any tf.function: each replica has a thread of its own."""
    strategy = two_replicas()
    with strategy.scope():
        w = tf.Variable(tf.ones([WIDTH]))

    @tf.function
    def replica(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))  # origin
        w.assign_sub(0.01 * tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(loss, w)))
        return loss

    def step(x: Any) -> Any:
        return strategy.run(replica, args=(x,))

    run(watching, step)
    return list(w.values)


KINDS: tuple[Kind, ...] = (mirrored, mirrored_eager)
