# Source: healthy - gradients of 8 small batches accumulated in float32 variables, applied, set back to 0; mean and
# variance per batch
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_gradient_accumulation",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="usual accumulation loop",
    steps=40,
    style="several tf.functions a step",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = (3.0 + r.randn(3200, 6)).astype("float32")
    y = (x[:, :1] * x[:, 1:2] / 5).astype("float32")
    w1, w2 = [tf.Variable(r.normal(0, 0.4, s).astype("float32")) for s in ((6, 16), (16, 1))]
    totals = [tf.Variable(tf.zeros_like(w), trainable=False) for w in (w1, w2)]

    @tf.function
    def accumulate(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        mean, var = tf.nn.moments(a, 0)
        z = (a - mean) * tf.math.rsqrt(var + 1e-3)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.nn.gelu(z @ w1) @ w2 - t))
        for total, g in zip(totals, tape.gradient(loss, (w1, w2)), strict=True):
            total.assign_add(g / 8)
        return loss

    @tf.function
    def update() -> None:
        for w, total in zip((w1, w2), totals, strict=True):
            w.assign_sub(0.05 * total)
            total.assign(tf.zeros_like(total))

    def step(i: int) -> dict[str, float]:
        losses = []
        for part in range(8):
            s = slice((i * 80 + part * 10) % 3200, (i * 80 + part * 10) % 3200 + 10)
            losses.append(float(accumulate(x[s], y[s])))
        update()
        return {"loss": float(np.mean(losses))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w1, w2])
