# Source: fix of masked_mean_where_trap (tensorflow/tensorflow#20091): tf.math.divide_no_nan, empty rows in every batch
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_masked_mean_no_nan",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of tensorflow/tensorflow#20091",
    steps=60,
    style="tf.function with input_signature",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    words = r.randint(1, 30, (900, 5)).astype("int32")
    words *= np.arange(5) < r.randint(0, 6, (900, 1))
    y = (words == 7).sum(1, keepdims=True).astype("float32")
    table = tf.Variable(r.normal(0, 0.3, (30, 6)).astype("float32"))
    w = tf.Variable(r.normal(0, 0.3, (6, 1)).astype("float32"))

    def mean_vector(ids: tf.Tensor) -> tf.Tensor:
        real = tf.cast(ids > 0, tf.float32)[:, :, None]
        total = tf.reduce_sum(tf.nn.embedding_lookup(table, ids) * real, axis=1)
        return tf.math.divide_no_nan(total, tf.reduce_sum(real, axis=1))

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.int32), tf.TensorSpec([None, 1], tf.float32)])
    def train(ids: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(mean_vector(ids) @ w - t))
        d_table, d_w = tape.gradient(loss, (table, w))
        table.scatter_sub(tf.IndexedSlices(0.5 * d_table.values, d_table.indices))
        w.assign_sub(0.5 * d_w)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 15, i * 15 + 15)
        return {"loss": float(train(words[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[table, w])
