"""The two ends of float16: attention scores past 65504, and gradients below 6e-8.

``overflow``: self-attention over the rows of a digit, without the customary 1 / sqrt(depth). The scores grow
as it learns, and after some hundred steps one of them passes 65504, the largest float16. It becomes Inf, and
a softmax of Inf is NaN.

``underflow``: six tanh layers whose weights start with a standard deviation of 0.01. Each layer makes the
gradient about twelve times smaller, until it is below the smallest float16. Nothing is NaN: the gradients
are 0, and the loss stays at log(10). ``loss_scaled`` is the same training with a loss scale, and learns.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

import tb_numstab

from . import digits

HALF = tf.float16


def normal(rows: int, columns: int, stddev: float) -> tf.Variable:
    return tf.Variable(tf.random.normal((rows, columns), stddev=stddev))


def train(
    log_dir: str,
    logits_of: Callable[[tf.Tensor], tf.Tensor],
    variables: list[tf.Variable],
    optimizer: keras.optimizers.Optimizer,
    steps: int,
) -> None:
    """Minimises the cross-entropy of ``logits_of(images [batch, 64])``; stops when the loss is not finite.

    Every tenth step is measured. A step in between is measured too when NaN or Inf comes out of it.
    """
    (images, labels), _ = digits.load()

    @tb_numstab.watch(every=10)
    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = tf.cast(logits_of(x), tf.float32)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
            scaled_loss = optimizer.scale_loss(loss)
        optimizer.apply_gradients(zip(tape.gradient(scaled_loss, variables), variables, strict=True))
        return loss

    with tf.summary.create_file_writer(log_dir).as_default():
        for step, (x, y) in enumerate(digits.batches(images, labels, steps)):
            loss = train_step(x, y)
            tf.summary.scalar("loss", loss, step)
            tb_numstab.log_step(step)
            if not tf.math.is_finite(loss):
                break
    print(f"{log_dir}: the loss is {loss:.3g} at step {step}")


def overflow(log_dir: str, depth: int = 64) -> None:
    """Self-attention over the eight rows of a digit, all of it in float16."""
    keras.utils.set_random_seed(0)
    embed, query, key, value = (normal(rows, depth, rows**-0.5) for rows in (8, depth, depth, depth))
    readout = normal(8 * depth, 10, (8 * depth) ** -0.5)

    def logits_of(images: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(tf.reshape(images, (-1, 8, 8)), HALF)
        rows = tf.nn.relu(pixels @ tf.cast(embed, HALF))
        q, k, v = (rows @ tf.cast(weights, HALF) for weights in (query, key, value))
        scores = tf.matmul(q, k, transpose_b=True)  # BUG: grows with depth; divide q by sqrt(depth)
        attended = tf.reshape(tf.nn.softmax(scores) @ v, (-1, 8 * depth))
        return attended @ tf.cast(readout, HALF)

    train(log_dir, logits_of, [embed, query, key, value, readout], keras.optimizers.Adam(0.01), steps=2000)


def underflow(log_dir: str, optimizer: keras.optimizers.Optimizer) -> None:
    """Six layers with small weights; matrix products in float16, the rest in float32."""
    keras.utils.set_random_seed(0)
    hidden = [normal(64, 64, 0.01) for _ in range(6)]
    readout = normal(64, 10, 0.01)

    def product(x: tf.Tensor, weights: tf.Variable) -> tf.Tensor:
        result = tf.cast(x, HALF) @ tf.cast(weights, HALF)
        return tf.cast(result, tf.float32)  # its gradient is cast to float16

    def logits_of(images: tf.Tensor) -> tf.Tensor:
        h = images / 16
        for weights in hidden:
            h = tf.tanh(product(h, weights))
        return product(h, readout)

    train(log_dir, logits_of, [*hidden, readout], optimizer, steps=300)


def main(log_dir: str) -> None:
    overflow(f"{log_dir}/overflow")
    underflow(f"{log_dir}/underflow", keras.optimizers.Adam(0.01))
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=2.0**20)
    underflow(f"{log_dir}/loss_scaled", scaled)
