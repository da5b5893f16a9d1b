# Source: healthy - a small encoder-decoder Transformer of Keras layers: sine positions, causal and padding masks,
# masked loss and accuracy divided by the number of real words, label smoothing, clipping
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_tutorial_transformer",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="tensorflow.org tutorial: Neural machine translation with a Transformer and Keras",
    steps=30,
    style="keras-fit",
)


def masked_loss(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    real = tf.cast(label != 0, tf.float32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(label, logits)
    return tf.reduce_sum(loss * real) / tf.reduce_sum(real)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    length = r.randint(2, 9, 600)
    source = np.where(np.arange(8) < length[:, None], r.randint(1, 20, (600, 8)), 0)
    target = np.where(source > 0, (source * 3) % 19 + 1, 0)
    shifted = np.concatenate([np.ones((600, 1), int), target[:, :-1]], axis=1)
    angle = np.arange(8)[:, None] / 10000 ** (np.arange(8)[None] / 8)
    position = np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype("float32")

    def embed(words: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.Embedding(21, 16, mask_zero=True)(words) * 4.0 + position

    a, b = keras.Input((8,), dtype="int32"), keras.Input((8,), dtype="int32")
    memory, h = embed(a), embed(b)
    attended = keras.layers.MultiHeadAttention(2, 8)(memory, memory)
    memory = keras.layers.LayerNormalization()(memory + attended)
    h = keras.layers.LayerNormalization()(h + keras.layers.MultiHeadAttention(2, 8)(h, h, use_causal_mask=True))
    h = keras.layers.LayerNormalization()(h + keras.layers.MultiHeadAttention(2, 8, dropout=0.1)(h, memory))
    h = keras.layers.LayerNormalization()(h + keras.layers.Dense(16)(keras.layers.Dense(32, activation="relu")(h)))
    model = keras.Model([a, b], keras.layers.Dense(21)(h))
    model.compile(keras.optimizers.Adam(3e-3, beta_2=0.98, epsilon=1e-9, clipnorm=1.0), loss=masked_loss)

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 600, (i * 20) % 600 + 20)
        return {"loss": float(model.train_on_batch([source[s], shifted[s]], target[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
