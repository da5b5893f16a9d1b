"""A training that loses its updates: nothing is NaN, nothing is large, and the accuracy stays at 10 %.

The weights are kept in bfloat16, which has 8 significant bits. An update smaller than about 1/512 of its
weight rounds away: w - d is w again. At a small learning rate that happens to nearly every weight at every
step. The same training with float32 weights, run beside it, learns.
"""

from __future__ import annotations

import keras
import tensorflow as tf

import tb_numstab

from . import digits

LEARNING_RATE = 0.002


def train(log_dir: str, dtype: str) -> None:
    """Stochastic gradient descent on a two-layer network whose weights have the given dtype."""
    keras.utils.set_random_seed(0)
    (images, labels), (test_images, test_labels) = digits.load()
    initial = keras.initializers.GlorotUniform(seed=0)
    w1 = tf.Variable(tf.cast(initial((64, 64)), dtype), name="w1")
    w2 = tf.Variable(tf.cast(initial((64, 10)), dtype), name="w2")

    def logits_of(x: tf.Tensor) -> tf.Tensor:
        hidden = tf.nn.relu(tf.cast(x / 16, dtype) @ w1)
        return tf.cast(hidden @ w2, tf.float32)

    @tb_numstab.watch(every=100)
    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits_of(x)))
        for weights, gradient in zip((w1, w2), tape.gradient(loss, (w1, w2)), strict=True):
            weights.assign_sub(LEARNING_RATE * gradient)  # BUG: needs a float32 copy of the weights
        return loss

    with tf.summary.create_file_writer(log_dir).as_default():
        for step, (x, y) in enumerate(digits.batches(images, labels, steps=3000)):
            loss = train_step(x, y)
            tf.summary.scalar("loss", loss, step)
            tb_numstab.log_step(step)
    hits = tf.argmax(logits_of(test_images), axis=1) == test_labels
    print(f"{log_dir}: test accuracy {tf.reduce_mean(tf.cast(hits, tf.float32)):.0%}")


def main(log_dir: str) -> None:
    train(f"{log_dir}/bfloat16", "bfloat16")
    train(f"{log_dir}/float32", "float32")
