"""TensorFlow 1: graphs and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.instrument.kinds import ROWS, STEPS, WIDTH, Kind, Watching, batch

v1 = tf.compat.v1


def plain_session(watching: Watching) -> Sequence[Any]:
    """Fed by hand from one buffer; gradient descent."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, WIDTH])
        w = v1.get_variable("w", initializer=np.ones(WIDTH, np.float32))
        loss = -tf.reduce_mean(tf.math.log(tf.reduce_sum(x * w, 1)))  # origin
        train = v1.train.GradientDescentOptimizer(0.01).minimize(loss)
        buffer = np.empty([ROWS, WIDTH], np.float32)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            run = watching.session_run(session)
            for i in range(STEPS):
                buffer[:] = batch(i)
                run([loss, train], {x: buffer})
            return [session.run(v) for v in v1.global_variables()]


def monitored_session(watching: Watching) -> Sequence[Any]:
    """Pulls its own data; dropout; Adam; a global step; the loss is not fetched."""
    with tf.Graph().as_default():
        v1.set_random_seed(3)
        data = tf.data.Dataset.from_tensor_slices(np.stack([batch(i) for i in range(16)]))
        x = v1.data.make_one_shot_iterator(data).get_next()
        w = v1.get_variable("w", initializer=np.ones(WIDTH, np.float32))
        p = tf.reduce_sum(x * tf.nn.dropout(w, rate=0.01), 1)
        loss = -tf.reduce_mean(tf.math.log(p))  # origin
        train = v1.train.AdamOptimizer(1e-3).minimize(loss, global_step=v1.train.get_or_create_global_step())
        values = v1.global_variables()
        with v1.train.MonitoredSession(hooks=watching.hooks()) as session:
            for _ in range(STEPS):
                session.run(train)
            return list(session.run(values))


def recurrent_session(watching: Watching) -> Sequence[Any]:
    """A while loop, an assignment that others wait for, clipping, momentum."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, WIDTH])
        w = v1.get_variable("w", initializer=np.ones(WIDTH, np.float32))
        seen = v1.get_variable("seen", initializer=0.0, trainable=False)
        with tf.control_dependencies([v1.assign_add(seen, 1.0)]):
            counted = tf.identity(seen)
        total = tf.while_loop(
            lambda i, s: i < WIDTH, lambda i, s: [i + 1, s + x[:, i] * w[i]], [0, tf.zeros_like(x[:, 0])]
        )
        loss = -tf.reduce_mean(tf.math.log(total[1]))  # origin
        optimizer = v1.train.MomentumOptimizer(0.01, 0.9)
        pairs = [(tf.clip_by_norm(g, 1.0), v) for g, v in optimizer.compute_gradients(loss, [w])]
        train = optimizer.apply_gradients(pairs)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            run = watching.session_run(session)
            for i in range(STEPS):
                run({"loss": loss, "seen": counted, "train": train}, {x: batch(i)})
                run(loss, {x: batch(0)})  # an evaluation is no step
            return [session.run(v) for v in v1.global_variables()]


KINDS: tuple[Kind, ...] = (plain_session, monitored_session, recurrent_session)
