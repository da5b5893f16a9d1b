# Source: AppliedDataSciencePartners/WorldModels#9, keras-team/keras#12371
# VAE on unscaled inputs, exp(log-variance) overflows.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="vae_exp_logvar",
    buggy=True,
    kind="exp-overflow",
    origin_op_type="Exp",
    origin_source_marker="# BUG",
    source="AppliedDataSciencePartners/WorldModels#9; keras-team/keras#12371",
    steps=80,
    style="keras train_step",
)


class VAE(keras.Model):  # type: ignore[misc]  # Keras is untyped
    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((width,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(4)])
        self.decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(width)])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        mean, log_var = tf.split(self.encoder(x), 2, axis=1)
        var = tf.exp(log_var)  # BUG
        self.add_loss(-0.5 * tf.reduce_mean(1.0 + log_var - tf.square(mean) - var))
        noise = tf.random.stateless_normal(tf.shape(mean), seed=[3, 5])
        return self.decoder(mean + tf.sqrt(var) * noise)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    x = np.abs(r.randn(1600, 10)).astype("float32")
    raw = 1060 + 40 * seed
    x[raw:] *= 255.0  # these files were not divided by 255
    vae = VAE(10)
    vae.compile(keras.optimizers.Adam(1e-3), loss="mse")

    def step(i: int) -> dict[str, float]:
        s = slice(i * 20, i * 20 + 20)
        return {"loss": float(vae.train_on_batch(x[s], x[s]))}

    vae(x[:1])
    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in vae.trainable_variables])
