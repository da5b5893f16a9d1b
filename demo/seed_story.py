"""Three snippets from an article on NaN in TensorFlow, each measured instead of believed.

1. "1e30 * 1e-30 may be NaN due to underflow." It is 1.0. The operands are 199 binades apart, yet a product
   adds exponents: nothing is lost. The tab shows the gap, and a healthy result.
2. "Activations that span many orders of magnitude may indicate instability." A sigmoid's do: it saturates
   towards 0 on raw pixels, and no harm comes of it. What counts is the distance to the format's limits.
3. "clipnorm=1.0 in Adam prevents exploding gradients." A plain SGD explodes here within a few steps. The same
   SGD with clipnorm learns, so clipping is a cure. Adam with clipnorm learns too, but Adam divides by the
   gradient's own size and would have survived without it.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

import tb_numstab

from . import digits


def multiply(log_dir: str) -> None:
    """Snippet 1: a very large number times a very small one."""

    @tb_numstab.watch(every=1)
    @tf.function
    def product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return a * b  # 1e30 * 1e-30

    with tf.summary.create_file_writer(log_dir).as_default():
        c = product(tf.constant(1e30), tf.constant(1e-30))
        tb_numstab.log_step(0)
    print(f"{log_dir}: 1e30 * 1e-30 = {c:.9g}")


def activations(log_dir: str) -> None:
    """Snippet 2: the range of a sigmoid layer during training."""
    keras.utils.set_random_seed(0)
    (images, labels), _ = digits.load()
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, activation="sigmoid"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.001), loss="mse")
    health = tb_numstab.NumericalHealth(log_dir, every=5)
    model.fit(images, labels.astype(np.float32), batch_size=64, epochs=4, verbose=0, callbacks=[health])
    output = model.layers[0](images)
    print(f"{log_dir}: sigmoid outputs from {tf.reduce_min(output):.2g} to {tf.reduce_max(output):.9g}")


def regression(log_dir: str, optimizer: keras.optimizers.Optimizer) -> None:
    """Snippet 3: the digit's value as a number, from raw pixels, with one optimizer or another."""
    keras.utils.set_random_seed(0)
    (images, labels), _ = digits.load()
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(64, activation="leaky_relu"), keras.layers.Dense(1)]
    )
    model.compile(optimizer, loss="mse")
    health = tb_numstab.NumericalHealth(log_dir, every=1)
    callbacks = [health, keras.callbacks.TerminateOnNaN()]
    values = labels.astype(np.float32)
    fit = model.fit(images, values, batch_size=64, epochs=4, verbose=0, callbacks=callbacks)  # SGD overflows in here
    print(f"{log_dir}: the loss is {fit.history['loss'][-1]:.3g}")


def main(log_dir: str) -> None:
    multiply(f"{log_dir}/multiply")
    activations(f"{log_dir}/sigmoid")
    regression(f"{log_dir}/sgd", keras.optimizers.SGD(0.01))
    regression(f"{log_dir}/sgd_clipnorm", keras.optimizers.SGD(0.01, clipnorm=1.0))
    regression(f"{log_dir}/adam_clipnorm", keras.optimizers.Adam(0.001, clipnorm=1.0))
