# Source: xiangwang1223/neural_graph_collaborative_filtering#17
# Matrix factorisation of raw ratings by unclipped SGD.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="factorisation_sgd_diverges",
    buggy=True,
    kind="divergence",
    origin_op_type="Sum|Mul|Square|Sub",
    origin_source_marker="# BUG",
    source="xiangwang1223/neural_graph_collaborative_filtering#17",
    steps=100,
    style="gradient accumulation",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    users, items = r.randint(0, 40, 4000), r.randint(0, 60, 4000)
    stars = (30.0 + 10.0 * r.randn(40)[users] + 10.0 * r.randn(60)[items]).astype("float32")  # 0 to 100
    u = tf.Variable(r.normal(0, 0.3, (40, 8)).astype("float32"))
    v = tf.Variable(r.normal(0, 0.3, (60, 8)).astype("float32"))
    total_u, total_v = tf.Variable(tf.zeros_like(u)), tf.Variable(tf.zeros_like(v))

    @tf.function
    def accumulate(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            guess = tf.reduce_sum(tf.gather(u, a) * tf.gather(v, b), axis=1)  # BUG
            loss = tf.reduce_sum(tf.square(guess - t))  # BUG
        du, dv = tape.gradient(loss, (u, v))
        total_u.assign_add(tf.convert_to_tensor(du))
        total_v.assign_add(tf.convert_to_tensor(dv))
        return loss

    @tf.function
    def update() -> None:
        for w, total in ((u, total_u), (v, total_v)):
            w.assign_sub(1.1e-2 * total)
            total.assign(tf.zeros_like(total))

    def step(i: int) -> dict[str, float]:
        loss = 0.0
        for part in range(2):
            s = slice((i * 40 + part * 20) % 4000, (i * 40 + part * 20) % 4000 + 20)
            loss += float(accumulate(users[s], items[s], stars[s]))
        update()
        return {"loss": loss}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[u, v])
