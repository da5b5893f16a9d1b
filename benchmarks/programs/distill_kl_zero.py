# Source: google-deepmind/optax#1786, RasmussenLab/vamb#12
# KL divergence with a teacher probability of 0.
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

META = dict(
    name="distill_kl_zero",
    buggy=True,
    kind="log-zero",
    origin_op_type="Log",
    origin_source_marker="# BUG",
    source="google-deepmind/optax#1786; RasmussenLab/vamb#12",
    steps=80,
    style="keras train_step",
)


class Student(keras.Model):  # type: ignore[misc]  # Keras is untyped
    def __init__(self, teacher: keras.Model) -> None:
        super().__init__()
        self.teacher = teacher
        self.head = keras.Sequential([keras.layers.Dense(24, activation="relu"), keras.layers.Dense(5)])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.head(x)

    def train_step(self, data: tuple[tf.Tensor]) -> dict[str, tf.Tensor]:
        x = data[0]
        p = tf.nn.softmax(self.teacher(x))
        with tf.GradientTape() as tape:
            log_q = tf.nn.log_softmax(self(x))
            loss = tf.reduce_mean(tf.reduce_sum(p * (tf.math.log(p) - log_q), axis=-1))  # BUG
        variables = self.head.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def build(seed: int = 0) -> SimpleNamespace:
    keras.utils.set_random_seed(seed)
    r = np.random.RandomState(seed)
    scale = np.linspace(1, 40, 1600)[:, None]  # later files were recorded with a higher gain
    x = (scale * r.randn(1600, 10)).astype("float32")
    teacher = keras.Sequential([keras.Input((10,)), keras.layers.Dense(5, kernel_initializer="he_normal")])
    teacher.trainable = False
    student = Student(teacher)
    student(x[:1])
    student.compile(optimizer=keras.optimizers.Adam(2e-3))

    def step(i: int) -> dict[str, float]:
        return {"loss": float(student.train_on_batch(x[i * 20 : i * 20 + 20]))}

    return SimpleNamespace(step=step, n_steps=META["steps"], vars=[v.value for v in student.head.trainable_variables])
