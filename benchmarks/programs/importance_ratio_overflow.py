# Source: PrimeIntellect-ai/prime-rl#2972, radixark/miles#1363
# Off-policy gradient, importance ratio exp(logp - logged logp): not clipped, and the behaviour policy grows narrow.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="importance_ratio_overflow",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="PrimeIntellect-ai/prime-rl#2972; radixark/miles#1363",
    steps=120,
    style="several tf.functions a step",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    state = r.randn(2400, 4).astype("float32")
    mean = 2.0 * state[:, :1]
    narrow = np.geomspace(1.0, 0.05, 2400)[:, None]  # the actor explores less and less
    action = (mean + r.normal(0, 1, (2400, 1)) * np.maximum(narrow, 0.4)).astype("float32")
    logged = (-0.5 * np.square((action - mean) / narrow) - np.log(narrow)).astype("float32")
    w, log_sigma = tf.Variable(r.normal(0, 0.1, (4, 1)).astype("float32")), tf.Variable([0.5])
    variables = [w, log_sigma]
    optimizer = tf.keras.optimizers.Adam(1e-2, clipnorm=1.0)

    @tf.function
    def log_prob(s: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
        return -0.5 * tf.square((a - s @ w) * tf.exp(-log_sigma)) - log_sigma

    @tf.function
    def improve(s: tf.Tensor, a: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            ratio = tf.exp(log_prob(s, a) - old)  # BUG
            loss = tf.reduce_mean(ratio * tf.square(a - s @ w))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(improve(state[s], action[s], logged[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
