"""tf.distribute on two logical CPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.instrument.kinds import Kind, Watching, batch, log_of_sum, ones, run
from tests.instrument.kinds.keras_fits import X, Y, fit, log_loss, model_of


def two_replicas() -> tf.distribute.MirroredStrategy:
    """A strategy with two replicas."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def weight_in(strategy: tf.distribute.Strategy) -> tf.Variable:
    """A weight for each column, in each replica."""
    with strategy.scope():
        return ones()


def batches_for(strategy: tf.distribute.Strategy) -> Any:
    """A distributed iterator over the batches."""
    data = tf.data.Dataset.from_tensor_slices(np.concatenate([batch(i) for i in range(16)])).batch(8)
    return iter(strategy.experimental_distribute_dataset(data))


def replica_step(loss: Callable[[Any], Any], w: tf.Variable) -> Callable[[Any], Any]:
    """What each replica does."""

    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(x)
        w.assign_sub(0.01 * tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(value, w)))
        return value

    return step


def mirrored(watching: Watching) -> Sequence[Any]:
    """strategy.run inside a tf.function, with values made for each replica."""
    strategy = two_replicas()
    w = weight_in(strategy)
    replica = replica_step(log_of_sum(w), w)
    halves = [[tf.constant(half) for half in np.split(batch(i), 2)] for i in range(16)]

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
    w, batches = weight_in(strategy), batches_for(strategy)
    replica = replica_step(log_of_sum(w), w)

    @tf.function
    def step(iterator: Any) -> Any:
        return strategy.reduce("mean", strategy.run(replica, args=(next(iterator),)), axis=None)

    run(watching, step, lambda i: [batches])
    return list(w.values)


def mirrored_captured(watching: Watching) -> Sequence[Any]:
    """The function captures the distributed iterator, and takes from it in a loop."""
    strategy = two_replicas()
    w, batches = weight_in(strategy), batches_for(strategy)
    replica = replica_step(log_of_sum(w), w)

    @tf.function
    def step() -> Any:
        losses = tf.TensorArray(tf.float32, 1)
        for i in tf.range(1):
            losses = losses.write(i, strategy.reduce("mean", strategy.run(replica, args=(next(batches),)), axis=None))
        return losses.stack()

    run(watching, step, lambda i: [])
    return list(w.values)


def mirrored_fit(watching: Watching) -> Sequence[Any]:
    """Keras under a strategy."""
    with two_replicas().scope():
        model = model_of(log_loss)
    return values(fit(watching, model, tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)))


def mirrored_fit_uneven(watching: Watching) -> Sequence[Any]:
    """In the last batch one replica goes without."""
    with two_replicas().scope():
        model = model_of(log_loss)
    return values(fit(watching, model, tf.data.Dataset.from_tensor_slices((X[:121], Y[:121])).batch(8)))


def values(variables: Sequence[Any]) -> Sequence[Any]:
    """What replicas share."""
    return [keras.ops.convert_to_numpy(v) for v in variables]


def mirrored_eager(watching: Watching) -> Sequence[Any]:
    """strategy.run outside any tf.function: each replica has a thread of its own."""
    strategy = two_replicas()
    w = weight_in(strategy)
    replica = tf.function(replica_step(log_of_sum(w), w))

    def step(x: Any) -> Any:
        return strategy.run(replica, args=(x,))

    run(watching, step)
    return list(w.values)


KINDS: tuple[Kind, ...] = (
    mirrored,
    mirrored_iterator,
    mirrored_captured,
    mirrored_fit,
    mirrored_fit_uneven,
    mirrored_eager,
)
