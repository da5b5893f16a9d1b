# Source: healthy - the actor-critic tutorial in small: discounted returns standardised with an epsilon, log of action
# probabilities, Huber loss of the critic
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_tutorial_actor_critic",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="tensorflow.org tutorial: Playing CartPole with the Actor-Critic method",
    steps=50,
    style="tf.function with tf.scan",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    state = keras.Input((4,))
    common = keras.layers.Dense(24, activation="relu")(state)
    model = keras.Model(state, [keras.layers.Dense(2)(common), keras.layers.Dense(1)(common)])
    optimizer = keras.optimizers.Adam(1e-2)
    huber = keras.losses.Huber(reduction="sum")
    epsilon = np.finfo(np.float32).eps.item()

    def expected_returns(rewards: tf.Tensor) -> tf.Tensor:
        returns = tf.scan(lambda total, reward: reward + 0.99 * total, rewards[::-1], 0.0)[::-1]
        return (returns - tf.reduce_mean(returns)) / (tf.math.reduce_std(returns) + epsilon)

    @tf.function
    def train(states: tf.Tensor, uniform: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits, values = model(states)
            chances = tf.nn.softmax(logits)
            action = tf.cast(uniform > chances[:, :1], tf.int32)[:, 0]
            rewards = tf.cast(tf.equal(action, tf.cast(states[:, 0] > 0, tf.int32)), tf.float32)
            returns = expected_returns(rewards)[:, None]
            chosen = tf.gather(chances, action, batch_dims=1)[:, None]
            loss = -tf.reduce_sum(tf.math.log(chosen) * (returns - values)) + huber(values, returns)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss, tf.reduce_mean(rewards)

    def step(i: int) -> dict[str, float]:
        loss, reward = train(r.randn(32, 4).astype("float32"), r.rand(32, 1).astype("float32"))
        return {"loss": float(loss), "reward": float(reward)}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
