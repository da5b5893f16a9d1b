# Source: denisyarats/pytorch_sac#7 (atanh as 0.5 * (log1p(a)
# Log1p(-a))), philtabor/Actor-Critic-Methods-Paper-To-Code#7 - a stored action of exactly 1.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="squashed_policy_log1p",
    buggy=True,
    kind="log-zero",
    origin_op_type="Log1p",
    origin_source_marker="# BUG",
    source="denisyarats/pytorch_sac#7; philtabor/Actor-Critic-Methods-Paper-To-Code#7",
    steps=70,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    state = r.randn(1400, 6).astype("float32")
    boldness = np.linspace(0.3, 2.8, 1400)[:, None]  # the behaviour policy grew bolder while it collected
    action = np.tanh(boldness * (state @ r.normal(0, 0.7, (6, 2)) + 0.3 * r.randn(1400, 2))).astype("float32")
    w, b = tf.Variable(r.normal(0, 0.1, (6, 2)).astype("float32")), tf.Variable(tf.zeros(2))
    optimizer = tf.keras.optimizers.Adam(1e-2)

    def unsquash(a: tf.Tensor) -> tf.Tensor:
        up = tf.math.log1p(a)  # BUG
        down = tf.math.log1p(-a)  # BUG
        return 0.5 * (up - down)

    @tf.function
    def clone(s: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(unsquash(a) - (s @ w + b)))
        optimizer.apply_gradients(zip(tape.gradient(loss, [w, b]), [w, b], strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(clone(state[s], action[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w, b])
