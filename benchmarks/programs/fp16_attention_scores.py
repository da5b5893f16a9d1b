# Source: ultralytics/ultralytics#24990, stanford-crfm/mistral#66
# Attention scores leave the float16 range before they are scaled.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="fp16_attention_scores",
    buggy=True,
    kind="fp16-overflow",
    origin_op_type="BatchMatMulV2",
    origin_source_marker="# BUG",
    source="ultralytics/ultralytics#24990; stanford-crfm/mistral#66",
    steps=80,
    style="mixed-precision",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    half = tf.float16
    x = (8.0 * r.randn(800, 10, 16)).astype("float32")
    wanted = x[np.arange(800), np.argmax(x[:, :, 0], axis=1)][:, 1:2]  # attend to the token with the largest x0
    query, key, value = [tf.Variable(r.normal(0, 0.4, (16, 32)).astype("float32")) for _ in range(3)]
    out = tf.Variable(r.normal(0, 0.2, (32, 1)).astype("float32"))
    variables = [query, key, value, out]
    optimizer = tf.keras.optimizers.Adam(0.2)

    def attend(a: tf.Tensor) -> tf.Tensor:
        q, k, v = [tf.matmul(a, tf.cast(w, half)) for w in (query, key, value)]
        scores = tf.matmul(q, k, transpose_b=True)  # BUG
        return tf.reduce_mean(tf.matmul(tf.nn.softmax(scores / 32**0.5), v), axis=1)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            p = tf.matmul(tf.cast(attend(tf.cast(a, half)), tf.float32), out)
            loss = tf.reduce_mean(tf.square(p - t))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 10) % 800, (i * 10) % 800 + 10)
        return {"loss": float(train(x[s], wanted[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
