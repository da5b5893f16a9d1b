"""The models whose training steps benchmarks.overhead measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@dataclass
class Step:
    """A training step: ``function()`` makes a fresh tf.function of it, ``batch`` is its input."""

    function: Callable[[], Any]
    batch: tuple[Any, Any]


def mlp() -> Step:
    """784-512-512-10, batch 128."""
    layers = [keras.layers.Dense(512, "relu"), keras.layers.Dense(512, "relu"), keras.layers.Dense(10)]
    return _step(keras.Sequential([keras.Input((784,)), *layers]), _images(128, 784))


def cnn() -> Step:
    """Six convolutions on 32 x 32 images, batch 64."""
    sizes = ((32, 1), (32, 2), (64, 1), (64, 2), (128, 1), (128, 2))
    convolutions = [keras.layers.Conv2D(n, 3, stride, "same", activation="relu") for n, stride in sizes]
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    return _step(keras.Sequential([keras.Input((32, 32, 3)), *convolutions, *top]), _images(64, 32, 32, 3))


def transformer() -> Step:
    """Four layers, width 256, 128 tokens, batch 8."""
    width, tokens, vocabulary = 256, keras.Input((128,), dtype="int32"), 5000
    x = keras.layers.Embedding(vocabulary, width)(tokens)
    for _ in range(4):
        attention = keras.layers.MultiHeadAttention(8, width // 8)(x, x)
        x = keras.layers.LayerNormalization()(x + attention)
        hidden = keras.layers.Dense(4 * width, "gelu")(x)
        x = keras.layers.LayerNormalization()(x + keras.layers.Dense(width)(hidden))
    model = keras.Model(tokens, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling1D()(x)))
    random = np.random.RandomState(0)
    return _step(model, (random.randint(0, vocabulary, (8, 128)), random.randint(0, 10, 8)))


def mobilenet() -> Step:
    """Keras's MobileNetV2 on 96 x 96 images, batch 16: 53 convolutions with batch normalisation."""
    model = keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=10, classifier_activation=None)
    return _step(model, _images(16, 96, 96, 3))


MODELS = {f.__name__: f for f in (mlp, cnn, transformer, mobilenet)}


def _images(*shape: int) -> tuple[Any, Any]:
    random = np.random.RandomState(0)
    return random.rand(*shape).astype("float32"), random.randint(0, 10, shape[0])


def _step(model: Any, batch: tuple[Any, Any]) -> Step:
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    def function() -> Any:
        @tf.function
        def train(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_function(y, model(x, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        return train

    return Step(function, (tf.constant(batch[0]), tf.constant(batch[1])))
