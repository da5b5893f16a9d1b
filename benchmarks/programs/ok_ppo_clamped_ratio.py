# Source: fix of importance_ratio_overflow (radixark/miles#1363): log-ratio clamped to [-20, 20] before exp
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="ok_ppo_clamped_ratio",
    buggy=False,
    kind="healthy-fixed",
    origin_op_type=None,
    origin_source_marker=None,
    source="fix of radixark/miles#1363",
    steps=150,
    style="several tf.functions a step",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    state = r.randn(600, 4).astype("float32")
    w, b, log_sigma = tf.Variable(r.normal(0, 0.1, (4, 1)).astype("float32")), tf.Variable([0.0]), tf.Variable([0.0])
    variables = [w, b, log_sigma]
    optimizer = tf.keras.optimizers.Adam(1e-2)

    @tf.function
    def log_prob(s: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        return -0.5 * tf.square((action - s @ w - b) * tf.exp(-log_sigma)) - log_sigma

    @tf.function
    def improve(s: tf.Tensor, action: tf.Tensor, old: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            ratio = tf.exp(tf.clip_by_value(log_prob(s, action) - old, -20.0, 20.0))
            clipped = tf.clip_by_value(ratio, 0.8, 1.2)
            loss = -tf.reduce_mean(tf.minimum(ratio * gain, clipped * gain))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    rollout: dict[str, tf.Tensor] = {}

    def step(i: int) -> dict[str, float]:
        if i % 10 == 0:
            s = state[r.randint(0, 600, 60)]
            action = s @ w + b + tf.exp(log_sigma) * r.randn(60, 1).astype("float32")
            explore = r.rand(60, 1) < 0.1
            action = tf.where(explore, r.uniform(-12, 12, (60, 1)).astype("float32"), action)
            rollout.update(s=s, action=action, old=log_prob(s, action))
            reward = -np.square(action.numpy() - 2.0 * s[:, :1])
            rollout["gain"] = ((reward - reward.mean()) / (reward.std() + 1e-3)).astype("float32")
        loss = improve(rollout["s"], rollout["action"], rollout["old"], rollout["gain"])
        return {"loss": float(loss), "sigma": float(tf.exp(log_sigma)[0])}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=variables)
