"""The two ends of float16: attention scores past 65504, and activations below 6e-8.

``overflow``: self-attention over the rows of a digit, without the customary 1 / sqrt(depth). The scores grow
as it learns, and after some hundred steps one of them passes 65504, the largest float16. It becomes Inf, and
a softmax of Inf is NaN.

``underflow``: six tanh layers whose weights start with a standard deviation of 0.01. Each layer makes its
input about twelve times smaller, until values and gradients are below the smallest float16. Nothing is NaN:
every gradient is exactly 0, and the loss stays at log(10) for ever.

Run it alone with ``python -m demo.float16``.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

import tb_numstab
from demo import digits

HALF = tf.float16


def half_matmul(x: tf.Tensor, weights: tf.Variable) -> tf.Tensor:
    """Product of x and weights in float16, from float32 weights, as mixed precision does."""
    return tf.matmul(x, tf.cast(weights, HALF))


def normal(rows: int, columns: int, stddev: float) -> tf.Variable:
    return tf.Variable(tf.random.normal((rows, columns), stddev=stddev))


def train(log_dir: str, logits_of: Callable[[tf.Tensor], tf.Tensor], variables: list[tf.Variable], steps: int) -> None:
    """Minimises the cross-entropy of ``logits_of(float16 images [batch, 64])`` and measures every step."""
    (images, labels), _ = digits.load()
    optimizer = keras.optimizers.Adam(0.01)

    @tb_numstab.watch(every=1)
    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = tf.cast(logits_of(tf.cast(x, HALF)), tf.float32)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
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
    """Self-attention over the eight rows of a digit."""
    keras.utils.set_random_seed(0)
    embed, query, key, value = (normal(rows, depth, rows**-0.5) for rows in (8, depth, depth, depth))
    readout = normal(8 * depth, 10, (8 * depth) ** -0.5)

    def logits_of(images: tf.Tensor) -> tf.Tensor:
        rows = tf.nn.relu(half_matmul(tf.reshape(images, (-1, 8, 8)), embed))
        q, k, v = (half_matmul(rows, weights) for weights in (query, key, value))
        scores = tf.matmul(q, k, transpose_b=True)  # BUG: grows with depth; divide q by sqrt(depth)
        return half_matmul(tf.reshape(tf.matmul(tf.nn.softmax(scores), v), (-1, 8 * depth)), readout)

    train(log_dir, logits_of, [embed, query, key, value, readout], steps=2000)


def underflow(log_dir: str, width: int = 64) -> None:
    """Six layers with too small weights."""
    keras.utils.set_random_seed(0)
    hidden = [normal(width, width, 0.01) for _ in range(6)]
    readout = normal(width, 10, 0.01)

    def logits_of(images: tf.Tensor) -> tf.Tensor:
        h = images / 16
        for weights in hidden:
            h = tf.tanh(half_matmul(h, weights))
        return half_matmul(h, readout)

    train(log_dir, logits_of, [*hidden, readout], steps=50)


def main(log_dir: str = "demo/logs/float16") -> None:
    overflow(f"{log_dir}/overflow")
    underflow(f"{log_dir}/underflow")


if __name__ == "__main__":
    main()
