# Source: healthy - physical units: distances of 1e20, masses of 1e30, fluxes of 1e-26 in one float32 table, used
# through logarithms
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_astronomical_ranges",
    buggy=False,
    kind="healthy-wide-range",
    origin_op_type=None,
    origin_source_marker=None,
    source="SI units in a regression",
    steps=60,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    powers = np.array([20.0, 30.0, -26.0])
    x = (10.0 ** (powers + r.uniform(-2, 2, (900, 3)))).astype("float32")
    y = ((np.log10(x) - powers) @ np.array([[1.0], [-0.5], [0.3]])).astype("float32")
    w, b = tf.Variable(tf.zeros([3, 1])), tf.Variable(tf.zeros(1))
    optimizer = tf.keras.optimizers.Adam(3e-2)

    @tf.function
    def train(a: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        z = (tf.math.log(a) / np.float32(np.log(10.0)) - powers.astype("float32")) / 2.0
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(z @ w + b - t))
        optimizer.apply_gradients(zip(tape.gradient(loss, [w, b]), [w, b], strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 15) % 900, (i * 15) % 900 + 15)
        return {"loss": float(train(x[s], y[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
