"""Logs of any size, through the code that writes real ones.

A small transformer trains a few steps under watch. What they measured is repeated, with other numbers, until a record
has the slots asked for, and goes through RunLog into a tf.summary writer: op table, compression, running analysis,
flushing and file format are those of a training.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import tb_numstab
from benchmarks.models import transformer
from tb_numstab.instrument.collector import Rows
from tb_numstab.instrument.measurement import MeasuredStep, Measurement
from tb_numstab.instrument.run_log import RunLog
from tb_numstab.instrument.watch import measured_steps, take_finished
from tb_numstab.instrument.writers import SummarySink
from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.ops import OpSite

REAL_STEPS = 6
"""Steps that are really trained; each record starts from the rows of one of them."""

_COUNTS = [INDEX[name] for name in ("zero", "negative", "absorbed")]
_EXPONENTS = [INDEX[name] for name in ("max_exp", "min_exp")]


@dataclasses.dataclass(frozen=True)
class Source:
    """A real training's op table, and its rows at each measured step."""

    sites: list[OpSite]
    rows: list[Rows]


def real_training() -> Source:
    """Trains the benchmarks' transformer for REAL_STEPS steps, every one measured."""
    step = transformer()
    train = tb_numstab.watch(every=1)(step.function())
    measured: list[MeasuredStep] = []
    for number in range(REAL_STEPS):
        train(*step.batch)
        measured += measured_steps(take_finished(), number)
    largest = [max(m.measurements, key=lambda part: len(part.sites)) for m in measured]
    return Source(largest[0].sites, [m.rows for m in largest])


def write_run(folder: Path, source: Source, slots: int, records: int, seed: int = 0) -> None:
    """Writes one run whose records measure ``slots`` tensors each."""
    generator = np.random.default_rng(seed)
    copies = [_copied(source.sites, copy) for copy in range(-(-slots // len(source.sites)))]
    copies[-1] = copies[-1][: slots - len(source.sites) * (len(copies) - 1)]
    with tf.summary.create_file_writer(str(folder)).as_default() as writer:
        log = RunLog(SummarySink(writer))
        for step in range(records):
            log.write(MeasuredStep(step, list(_measured(source, copies, generator)), "ignore"))
        log.flush()


def _copied(sites: list[OpSite], copy: int) -> list[OpSite]:
    """The same ops as a further block of the model."""

    def named(text: str) -> str:
        return text and f"block_{copy}/{text}"

    return [dataclasses.replace(s, name=named(s.name), layer=named(s.layer), variable=named(s.variable)) for s in sites]


def _measured(source: Source, copies: list[list[OpSite]], generator: np.random.Generator) -> Iterator[Measurement]:
    for sites in copies:
        rows = source.rows[generator.integers(len(source.rows))]
        yield Measurement(sites, _varied(rows, len(sites), generator), variables={}, takes={}, makes={})


def _varied(real: Rows, count: int, generator: np.random.Generator) -> Rows:
    """Rows as another step would have measured them: other exponents, digits, counts and shares."""
    rows = real.rows[:count].copy()
    shift = generator.integers(-1, 2, count)
    rows[:, _EXPONENTS] += shift[:, None]
    # The largest magnitude stays in its binade, which max_exp names.
    largest = np.maximum(np.abs(rows[:, INDEX["min"]]), np.abs(rows[:, INDEX["max"]]))
    _, exponent = np.frexp(np.where(largest > 0, largest, 1.0))
    wanted = np.ldexp(generator.uniform(1, 2, count), exponent - 1 + shift)
    factor = np.where(largest > 0, wanted / np.where(largest > 0, largest, 1.0), 1.0)
    rows[:, [INDEX["min"], INDEX["max"]]] *= factor[:, None]
    rows[:, INDEX["sum_sq"]] *= factor**2
    size = rows[:, [INDEX["size"]]]
    counts = rows[:, _COUNTS]
    some = (counts > 0) & (counts < size)
    noise = np.rint(generator.normal(size=counts.shape) * np.sqrt(np.maximum(counts, 0)))
    rows[:, _COUNTS] = np.where(some, np.clip(counts + noise, 1, size - 1), counts)
    histogram = real.histogram[:count] * generator.uniform(0.9, 1.1, (count, 1)).astype(np.float32)
    return Rows(rows, histogram)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_log")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--slots", type=int, default=20_000)
    parser.add_argument("--records", type=int, default=2_000)
    options = parser.parse_args()
    source = real_training()
    for run in range(options.runs):
        write_run(options.logdir / f"run_{run:03d}", source, options.slots, options.records, seed=run)


if __name__ == "__main__":
    main()
