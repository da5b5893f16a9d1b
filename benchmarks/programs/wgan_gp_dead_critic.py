# Source: keras-team/keras-io#910, tdeboissiere/DeepLearningImplementations#68
# Gradient penalty: root of a zero squared gradient.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="wgan_gp_dead_critic",
    buggy=True,
    kind="sqrt-grad-zero",
    origin_op_type="SqrtGrad",
    origin_source_marker="# BUG",
    source="keras-team/keras-io#910; tdeboissiere/DeepLearningImplementations#68",
    steps=300,
    style="tf.function, second derivatives",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    real = r.normal(2, 0.5, (2000, 2)).astype("float32")
    critic = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(16, activation="relu", bias_initializer="ones"),
            keras.layers.Dropout(0.5),  # now and then it drops every unit a point has
            keras.layers.Dense(1),
        ]
    )
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])
    critic_opt, generator_opt = keras.optimizers.Adam(2e-2), keras.optimizers.Adam(5e-3)

    def penalty(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = critic(x, training=True)
        squared = tf.reduce_sum(tf.square(tape.gradient(score, x)), axis=1)
        norm = tf.sqrt(squared)  # BUG
        return tf.reduce_mean(tf.square(norm - 1.0))

    @tf.function
    def train(x: tf.Tensor, z: tf.Tensor, mix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        fake = generator(z)
        with tf.GradientTape() as tape:
            wasserstein = tf.reduce_mean(critic(fake)) - tf.reduce_mean(critic(x))
            loss = wasserstein + 10.0 * penalty(mix * x + (1.0 - mix) * fake)
        grads = tape.gradient(loss, critic.trainable_variables)
        critic_opt.apply_gradients(zip(grads, critic.trainable_variables, strict=True))
        with tf.GradientTape() as tape:
            generator_loss = -tf.reduce_mean(critic(generator(z)))
        grads = tape.gradient(generator_loss, generator.trainable_variables)
        generator_opt.apply_gradients(zip(grads, generator.trainable_variables, strict=True))
        return loss, generator_loss

    def step(i: int) -> dict[str, float]:
        z, mix = r.randn(25, 2).astype("float32"), r.rand(25, 1).astype("float32")
        s = slice((i * 25) % 2000, (i * 25) % 2000 + 25)
        loss, generator_loss = train(real[s], z, mix)
        return {"critic": float(loss), "generator": float(generator_loss)}

    variables = critic.trainable_variables + generator.trainable_variables
    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in variables])
