# Source: healthy - the convolutional VAE tutorial in small: exp(log-variance), cross-entropy from logits
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_tutorial_vae",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="tensorflow.org tutorial: Convolutional Variational Autoencoder",
    steps=60,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = (r.rand(10, 16)[r.randint(0, 10, 1200)] > 0.5).astype("float32")
    encoder = keras.Sequential([keras.Input((16,)), keras.layers.Dense(24, "relu"), keras.layers.Dense(4)])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(24, "relu"), keras.layers.Dense(16)])
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer = keras.optimizers.Adam(5e-3)

    def log_normal(z: tf.Tensor, mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(-0.5 * ((z - mean) ** 2.0 * tf.exp(-log_var) + log_var + 1.8379), axis=1)

    @tf.function
    def train(a: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            mean, log_var = tf.split(encoder(a), 2, axis=1)
            z = mean + tf.random.normal(tf.shape(mean)) * tf.exp(log_var * 0.5)
            cross = tf.nn.sigmoid_cross_entropy_with_logits(logits=decoder(z), labels=a)
            evidence = -tf.reduce_sum(cross, axis=1) + log_normal(z, 0.0, 0.0) - log_normal(z, mean, log_var)
            loss = -tf.reduce_mean(evidence)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(i: int) -> dict[str, float]:
        s = slice((i * 20) % 1200, (i * 20) % 1200 + 20)
        return {"loss": float(train(x[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in variables])
