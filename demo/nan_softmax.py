"""A classifier that learns well for more than a hundred steps and then turns NaN.

The softmax is written by hand and even subtracts the maximum, so nothing overflows. But training on raw
pixels lets the logits drift apart. Once two of them differ by more than 87, the smaller probability
underflows to exactly 0, its logarithm is -Inf, and 0 * -Inf is NaN. ``tf.nn.log_softmax`` computes the
logarithm without the probability.
"""

from __future__ import annotations

import keras
import tensorflow as tf

import tb_numstab

from . import digits


def softmax(logits: tf.Tensor) -> tf.Tensor:
    """Probabilities [batch, classes] from logits of the same shape."""
    e = tf.exp(logits - tf.reduce_max(logits, axis=1, keepdims=True))
    return e / tf.reduce_sum(e, axis=1, keepdims=True)


def cross_entropy(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of labels [batch] and probabilities [batch, classes]."""
    log_p = tf.math.log(probabilities)  # BUG: a probability may be 0; log_softmax would not need it
    return -tf.reduce_mean(tf.reduce_sum(tf.one_hot(labels, 10) * log_p, axis=1))


def main(log_dir: str) -> None:
    """Trains in a loop of its own and stops when the loss is not finite.

    Every twentieth step is measured. A step in between is measured too when NaN or Inf comes out of it.
    """
    keras.utils.set_random_seed(0)
    (images, labels), _ = digits.load()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    optimizer = keras.optimizers.Adam(0.02)

    @tb_numstab.watch(every=20)
    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, softmax(model(x, training=True)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    with tf.summary.create_file_writer(log_dir).as_default():
        for step, (x, y) in enumerate(digits.batches(images, labels, steps=400)):
            loss = train_step(x, y)
            tf.summary.scalar("loss", loss, step)
            tb_numstab.log_step(step)
            if not tf.math.is_finite(loss):
                print(f"nan_softmax: the loss is {loss:.3g} at step {step}")
                break
