# Source: healthy - the style-transfer tutorial in small: Gram matrices divided by the number of positions, total
# variation, pixels as the trained variable, clipped to [0, 1]
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="ok_style_gram_matrix",
    buggy=False,
    kind="healthy-training",
    origin_op_type=None,
    origin_source_marker=None,
    source="tensorflow.org tutorial: Neural style transfer",
    steps=50,
    style="tf.function",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    extractor = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.AveragePooling2D(2)]
    )
    style = tf.constant(r.rand(1, 16, 16, 3).astype("float32"))
    image = tf.Variable(np.clip(r.normal(0.5, 0.3, (1, 16, 16, 3)), 0, 1).astype("float32"))
    optimizer = keras.optimizers.Adam(0.02, beta_1=0.99)

    def gram(features: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(features)
        products = tf.linalg.einsum("bijc,bijd->bcd", features, features)
        return products / tf.cast(shape[1] * shape[2], tf.float32)

    target = gram(extractor(style))

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean((gram(extractor(image)) - target) ** 2)]) * 1e-2
            loss += 1e-6 * tf.reduce_sum(tf.image.total_variation(image))
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))
        return loss

    def step(i: int) -> dict[str, float]:
        return {"loss": float(train())}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[image])
