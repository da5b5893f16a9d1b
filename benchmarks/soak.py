"""Trains under watch for a long time and fails if memory grows or steps get slower.

``python -m benchmarks.soak --minutes 10`` (or ``make soak``) prints one line per report interval and exits with 1
when the second half of the run used more memory, or took longer per step, than noise explains.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

import tb_numstab
from demo import digits

GROWTH_MB = 48.0
"""Resident memory that the second half may add; allocators and TensorFlow's thread pools move by about 20 MB."""

SLOWDOWN = 1.5
"""Ratio of median step times, last report to the middle one, that a shared machine may show."""


@dataclass(frozen=True)
class Sample:
    """The state of the process at the end of one report interval."""

    seconds: float
    steps: int
    step_ms: float  # median over the interval
    resident_mb: float
    log_mb: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:7.0f} s  {self.steps:9,} steps  {self.step_ms:7.2f} ms/step  "
            f"{self.resident_mb:7.0f} MB resident  {self.log_mb:8.2f} MB log"
        )


def resident_mb() -> float:
    """Resident set size of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def soak(log_dir: Path, minutes: float, every: int) -> list[Sample]:
    """Trains a dropout network with Adam until the time is up; a sample per twentieth of it."""
    keras.utils.set_random_seed(0)
    (images, labels), _ = digits.load()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(1e-4)

    @tb_numstab.watch(every=every)
    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    samples: list[Sample] = []
    times: list[float] = []
    start = reported = time.monotonic()
    interval = minutes * 60 / 20
    with tf.summary.create_file_writer(str(log_dir)).as_default():
        for step, (x, y) in enumerate(digits.batches(images, labels, steps=sys.maxsize)):
            began = time.perf_counter()
            train_step(x, y)
            tb_numstab.log_step(step)
            times.append(time.perf_counter() - began)
            now = time.monotonic()
            if now - reported >= interval:
                log_mb = sum(f.stat().st_size for f in log_dir.iterdir()) / 1e6
                median = statistics.median(times) * 1e3
                samples.append(Sample(now - start, step + 1, median, resident_mb(), log_mb))
                print(samples[-1], flush=True)
                reported, times = now, []
            if now - start >= minutes * 60:
                break
    return samples


def complaints(samples: list[Sample]) -> list[str]:
    """What is wrong with a run, comparing its end with its middle."""
    middle, end = samples[len(samples) // 2], samples[-1]
    found = []
    if end.resident_mb - middle.resident_mb > GROWTH_MB:
        steps = end.steps - middle.steps
        found.append(f"memory grew by {end.resident_mb - middle.resident_mb:.0f} MB over {steps:,} steps")
    if end.step_ms > SLOWDOWN * middle.step_ms:
        found.append(f"a step took {end.step_ms / middle.step_ms:.1f} times as long at the end as in the middle")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--every", type=int, default=10, help="measure every N-th step")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = complaints(soak(Path(folder), options.minutes, options.every))
    if found:
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
