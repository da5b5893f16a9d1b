"""Trains under watch for a long time and fails if anything grows that should not.

``python -m benchmarks.soak --steps 50000`` (or ``make soak``) prints one line for each twentieth of the steps and exits
with 1 when the second half of them added threads, open files or graphs, used more memory or log than explained, or took
longer per step.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

import tb_numstab
from demo import digits

REPORTS = 20

GROWTH_MB = 48.0
"""Resident memory that the second half may add; allocators and TensorFlow's thread pools move by about 20 MB."""

SLOWDOWN = 1.5
"""Ratio of median step times, second half to first, that a shared machine may show."""


@dataclass(frozen=True)
class Sample:
    """The state of the process at the end of one report interval."""

    steps: int
    step_ms: float  # median over the interval
    resident_mb: float
    log_bytes: int
    threads: int  # of the process, TensorFlow's included
    python_threads: int
    open_files: int
    graphs: int  # traced functions alive
    nodes: int  # ops in them

    def __str__(self) -> str:
        return (
            f"{self.steps:9,} steps  {self.step_ms:6.2f} ms/step  {self.resident_mb:5.0f} MB resident  "
            f"{self.log_bytes / 1e6:6.2f} MB log  {self.threads} threads ({self.python_threads} Python)  "
            f"{self.open_files} files  {self.graphs} graphs of {self.nodes:,} ops"
        )


def sample(steps: int, times: list[float], log_dir: Path) -> Sample:
    """Looks at this process (Linux) and its log."""
    process = Path("/proc/self")
    graphs = [found for found in gc.get_objects() if isinstance(found, FuncGraph)]
    return Sample(
        steps=steps,
        step_ms=statistics.median(times) * 1e3,
        resident_mb=int((process / "statm").read_text().split()[1]) * 4096 / 1e6,
        log_bytes=sum(file.stat().st_size for file in log_dir.iterdir()),
        threads=len(list((process / "task").iterdir())),
        python_threads=threading.active_count(),
        open_files=len(list((process / "fd").iterdir())),
        graphs=len(graphs),
        nodes=sum(len(graph.get_operations()) for graph in graphs),
    )


def training() -> Any:
    """A training step of a dropout network with Adam, not watched yet."""
    keras.utils.set_random_seed(0)
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

    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return train_step


def soak(log_dir: Path, steps: int, every: int) -> list[Sample]:
    """Trains; a sample per twentieth of the steps."""
    (images, labels), _ = digits.load()
    train_step = tb_numstab.watch(every=every)(training())
    samples: list[Sample] = []
    times: list[float] = []
    with tf.summary.create_file_writer(str(log_dir)).as_default():
        for step, (x, y) in enumerate(digits.batches(images, labels, steps=steps), 1):
            began = time.perf_counter()
            train_step(x, y)
            tb_numstab.log_step(step)
            times.append(time.perf_counter() - began)
            if step % (steps // REPORTS) == 0:
                samples.append(sample(step, times, log_dir))
                print(samples[-1], flush=True)
                times = []
    return samples


def complaints(samples: list[Sample]) -> list[str]:
    """What is wrong with a run, comparing its end with its middle."""
    middle, end = samples[len(samples) // 2 - 1], samples[-1]
    found = []
    if end.resident_mb - middle.resident_mb > GROWTH_MB:
        steps = end.steps - middle.steps
        found.append(f"memory grew by {end.resident_mb - middle.resident_mb:.0f} MB over {steps:,} steps")
    if end.log_bytes > 1.1 * middle.log_bytes * end.steps / middle.steps:
        found.append(f"the log grew faster than the steps: {middle.log_bytes:,} bytes, then {end.log_bytes:,}")
    for name in ("threads", "python_threads", "open_files", "graphs", "nodes"):
        before, after = getattr(middle, name), getattr(end, name)
        if after > before:
            found.append(f"{name.replace('_', ' ')} grew from {before} to {after}")
    half = len(samples) // 2
    first, second = (statistics.median(s.step_ms for s in part) for part in (samples[:half], samples[half:]))
    if second > SLOWDOWN * first:
        found.append(f"a step took {second / first:.1f} times as long in the second half")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=10, help="measure every N-th step")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(Path(folder), max(options.steps, REPORTS), options.every)
    found = complaints(samples)
    if found:
        sys.exit("; ".join(found))
    print(f"{samples[-1].steps:,} steps watched: nothing grew but the log")


if __name__ == "__main__":
    main()
