# Source: healthy - discrete survival curves and discounted returns: cumulative products that fade to tiny numbers,
# as they should
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_survival_cumprod",
    buggy=False,
    kind="healthy-wide-range",
    origin_op_type=None,
    origin_source_marker=None,
    source="discrete-time survival model",
    steps=50,
    style="jit_compile",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = r.randn(600, 4).astype("float32")
    hazard = 1 / (1 + np.exp(0.5 - x[:, :1]))
    alive = (np.cumsum(r.rand(600, 60) < hazard, axis=1) == 0).astype("float32")
    w, b = tf.Variable(tf.zeros([4, 1])), tf.Variable(tf.zeros(1))

    @tf.function(jit_compile=True)
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            survive = tf.sigmoid(-(a @ w + b)) * tf.ones([1, 60])
            curve = tf.math.cumprod(survive, axis=1)
            loss = tf.reduce_mean(tf.reduce_sum(tf.square(curve - t), axis=1))
        for v, g in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            v.assign_sub(0.3 * g)
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 12) % 600, (i * 12) % 600 + 12)
        return {"loss": float(train(x[s], alive[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
