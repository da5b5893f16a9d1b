# Source: huggingface/trl#6365, NVIDIA-NeMo/RL#1518, stats.stackexchange 35304
# (r - mean) / std of equal rewards.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="grpo_equal_rewards",
    buggy=True,
    kind="div-zero",
    origin_op_type="RealDiv",
    origin_source_marker="# BUG",
    source="huggingface/trl#6365; NVIDIA-NeMo/RL#1518; stats.stackexchange 35304",
    steps=80,
    style="several tf.functions a step",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    task = r.randn(800, 6).astype("float32")
    best = np.argmax(task @ r.randn(6, 4), axis=1)
    w = tf.Variable(tf.zeros([6, 4]))
    rate = 1.0

    @tf.function
    def sample(s: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        chances = tf.cumsum(tf.nn.softmax(s @ w), axis=1)
        return tf.reduce_sum(tf.cast(chances < uniform, tf.int32), axis=1)

    @tf.function
    def advantages(rewards: tf.Tensor) -> tf.Tensor:
        centred = rewards - tf.reduce_mean(rewards)
        return centred / tf.math.reduce_std(rewards)  # BUG

    @tf.function
    def improve(s: tf.Tensor, actions: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            nll = tf.nn.sparse_softmax_cross_entropy_with_logits(actions, s @ w)
            loss = tf.reduce_mean(gain * nll)
        w.assign_sub(rate * tape.gradient(loss, w))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 10) % 800, (i * 10) % 800 + 10)
        actions = tf.minimum(sample(task[s], r.rand(10, 1).astype("float32")), 3)
        rewards = tf.constant((actions.numpy() == best[s]).astype("float32"))  # in the end all are right
        loss = improve(task[s], actions, advantages(rewards))
        return {"loss": float(loss), "reward": float(tf.reduce_mean(rewards))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[w])
