# Source: facebookresearch/poincare-embeddings#8, leymir/hyperbolic-image-embeddings#13
# Points that reach the rim of the Poincare ball.
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

META = dict(
    name="poincare_atanh_boundary",
    buggy=True,
    kind="atanh-one",
    origin_op_type="Atanh",
    origin_source_marker="# BUG",
    source="facebookresearch/poincare-embeddings#8; leymir/hyperbolic-image-embeddings#13",
    steps=200,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    tf.keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    depth = r.randint(0, 3, 300)
    depth[:6] = 14  # a few leaves of a deep tree
    tangent = tf.Variable(r.normal(0, 0.3, (300, 2)).astype("float32"))

    def to_ball(v: tf.Tensor) -> tf.Tensor:
        length = tf.norm(v, axis=1, keepdims=True)
        return tf.tanh(length) * v / length

    def distance_to_root(p: tf.Tensor) -> tf.Tensor:
        return 2.0 * tf.atanh(tf.norm(p, axis=1))  # BUG

    @tf.function
    def train(rows: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            distance = distance_to_root(to_ball(tf.gather(tangent, rows)))
            loss = tf.reduce_mean(tf.square(distance - 2.0 * target))
        grad = tf.convert_to_tensor(tape.gradient(loss, tangent))
        tangent.assign_sub(0.03 * grad)
        return loss

    def step(i: int) -> dict[str, float]:
        rows = np.concatenate([np.arange(6), r.randint(6, 300, 14)])
        return {"loss": float(train(rows, depth[rows].astype("float32")))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[tangent])
