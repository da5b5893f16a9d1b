# Source: healthy - language model with 5000 words: most embedding rows unused, softmax probabilities of 1e-9, sparse
# gradients
from types import SimpleNamespace

import keras
import numpy as np

META = dict(
    name="ok_big_vocabulary",
    buggy=False,
    kind="healthy-sparse",
    origin_op_type=None,
    origin_source_marker=None,
    source="word2vec-style next word model",
    steps=40,
    style="keras-fit",
)


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    words = np.minimum(r.zipf(1.3, (2000, 4)), 4999)
    following = (words[:, -1] * 7) % 5000
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Embedding(5000, 16),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="gelu"),
            keras.layers.Dense(5000),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-2, clipnorm=1.0), loss=loss)

    def step(i: int) -> dict[str, float]:
        s = slice((i * 40) % 2000, (i * 40) % 2000 + 40)
        return {"loss": float(model.train_on_batch(words[s], following[s]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in model.trainable_variables])
