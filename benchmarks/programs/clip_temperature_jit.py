# Source: Lightning-Universe/lightning-bolts#320, #811
# Contrastive loss by hand, exp(similarity * scale) with a learned, unbounded scale.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="clip_temperature_jit",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="Lightning-Universe/lightning-bolts#320, #811",
    steps=120,
    style="jit_compile",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    meaning = r.randn(960, 6)
    image = (meaning @ r.randn(6, 12) + 0.1 * r.randn(960, 12)).astype("float32")
    text = (meaning @ r.randn(6, 10) + 0.1 * r.randn(960, 10)).astype("float32")
    to_image = tf.Variable(r.normal(0, 0.3, (12, 8)).astype("float32"))
    to_text = tf.Variable(r.normal(0, 0.3, (10, 8)).astype("float32"))
    log_scale = tf.Variable(1.0)
    variables = [to_image, to_text, log_scale]

    @tf.function(jit_compile=True)
    def train(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            u, v = tf.math.l2_normalize(a @ to_image, 1), tf.math.l2_normalize(b @ to_text, 1)
            similarity = tf.matmul(u, v, transpose_b=True) * tf.exp(log_scale)
            match = tf.exp(similarity)  # BUG
            share = tf.linalg.diag_part(match) / tf.reduce_sum(match, axis=1)
            loss = -tf.reduce_mean(tf.math.log(share + 1e-8))
        for w, g in zip(variables, tape.gradient(loss, variables), strict=True):
            w.assign_sub(0.5 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 12) % 960, (i * 12) % 960 + 12)
        return {"loss": float(train(image[s], text[s])), "log_scale": float(log_scale)}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
