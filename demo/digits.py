"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, shipped with the package."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Batch = tuple[NDArray[np.float32], NDArray[np.int64]]

HELD_OUT = 325
"""Images kept back for testing; the 1,472 others are 23 batches of 64."""


def load() -> tuple[Batch, Batch]:
    """(images, labels) to train on and to test on, in a fixed random order.

    Images are float32 [n, 64] with the data set's own pixel values 0 to 16; labels are int64 [n].
    """
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images, labels = data.data[order].astype(np.float32), data.target[order].astype(np.int64)
    return (images[HELD_OUT:], labels[HELD_OUT:]), (images[:HELD_OUT], labels[:HELD_OUT])


def batches(images: NDArray[np.float32], labels: NDArray[np.int64], steps: int, size: int = 64) -> Iterator[Batch]:
    """``steps`` batches, going round the data in order."""
    for step in range(steps):
        index = np.arange(step * size, (step + 1) * size) % len(labels)
        yield images[index], labels[index]
