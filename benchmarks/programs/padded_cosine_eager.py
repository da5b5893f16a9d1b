# Source: tensorflow/tensorflow#35257, tracel-ai/burn#5584
# Cosine similarity with a vector of zeros.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="padded_cosine_eager",
    buggy=True,
    kind="div-zero",
    origin_op_type="RealDiv",
    origin_source_marker="# BUG",
    source="tensorflow/tensorflow#35257; tracel-ai/burn#5584",
    steps=60,
    style="eager",
)


def cosine(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    lengths = tf.norm(a, axis=1) * tf.norm(b, axis=1)
    return tf.reduce_sum(a * b, axis=1) / lengths  # BUG


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    topic = r.randint(0, 4, 900)
    words = 1 + topic[:, None] * 10 + r.randint(0, 10, (900, 6))
    words[r.rand(900, 6) < 0.4] = 0  # padding
    words[:, 0] = 1 + topic * 10
    words[650 + 15 * seed] = 0  # a document of stop words only
    table = keras.layers.Embedding(41, 8)
    table.build()
    vectors = table.trainable_variables[0].value

    def embed(ids: np.ndarray) -> tf.Tensor:
        real = tf.cast(ids != 0, tf.float32)[:, :, None]
        return tf.reduce_sum(table(ids) * real, axis=1)

    def step(i: int) -> dict[str, float]:
        rows = np.arange(i * 15, i * 15 + 15) % 900
        others = r.permutation(900)[:15]
        same = (topic[rows] == topic[others]).astype("float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(cosine(embed(words[rows]), embed(words[others])) - same))
        grad = tape.gradient(loss, vectors)
        vectors.assign_sub(0.5 * tf.convert_to_tensor(grad))
        return {"loss": float(loss)}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[vectors])
