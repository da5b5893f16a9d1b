# Source: healthy - low-rank adapter: B starts at 0, so the gradient of A is exactly 0 at first; frozen base weights
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_lora_zero_init",
    buggy=False,
    kind="healthy-zero-updates",
    origin_op_type=None,
    origin_source_marker=None,
    source="LoRA (arXiv 2106.09685)",
    steps=50,
    style="bfloat16 compute, float32 adapters",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(1000, 16).astype("float32")
    base = tf.Variable(r.normal(0, 0.25, (16, 8)).astype("float32"), trainable=False)
    y = (x @ (base.numpy() + r.normal(0, 0.1, (16, 2)) @ r.normal(0, 1, (2, 8)))).astype("float32")
    down = tf.Variable(r.normal(0, 0.25, (16, 2)).astype("float32"))
    up = tf.Variable(tf.zeros([2, 8]))
    optimizer = tf.keras.optimizers.Adam(1e-2)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            low = tf.cast(a, tf.bfloat16)
            out = tf.matmul(low, tf.cast(base, tf.bfloat16))
            out += tf.matmul(tf.matmul(low, tf.cast(down, tf.bfloat16)), tf.cast(up, tf.bfloat16))
            loss = tf.reduce_mean(tf.square(tf.cast(out, tf.float32) - t))
        grads = tape.gradient(loss, [down, up])
        optimizer.apply_gradients(zip(grads, [down, up], strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1000, (i * 20) % 1000 + 20)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[down, up])
