# Source: ROCm/AMDMIGraphX#831, #850
# Weight decay by tf.nn.l2_loss on float16 copies of the weights: the sum of squares leaves float16.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="fp16_l2_penalty",
    buggy=True,
    kind="fp16-overflow",
    origin_op_type="L2Loss",
    origin_source_marker="# BUG",
    source="ROCm/AMDMIGraphX#831, #850",
    steps=120,
    style="mixed-precision",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    half = tf.float16
    x = r.randn(1200, 64).astype("float32")
    y = (x @ r.normal(0, 9, (64, 128))).astype("float32")
    w = tf.Variable(tf.zeros([64, 128]))
    optimizer = tf.keras.optimizers.Adam(0.2)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            compute = tf.cast(w, half)
            error = tf.cast(tf.matmul(tf.cast(a, half), compute), tf.float32) - t
            penalty = tf.nn.l2_loss(compute)  # BUG
            loss = tf.reduce_mean(tf.square(error)) + 1e-4 * tf.cast(penalty, tf.float32)
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 10) % 1200, (i * 10) % 1200 + 10)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w])
