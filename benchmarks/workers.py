"""Many workers, one log folder: is the worker that went bad first named, and what do their logs take?

``python -m benchmarks.workers --workers 64``. Each worker is a process of its own that trains under watch into a run
folder of its own, as docs/distribution.md says. All of them end up with NaN or Inf, each at its own step; the folder is
then read as one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

from benchmarks.crash import processes, train
from tb_numstab.analysis.engine import analyse
from tb_numstab.store.event_files import read_runs

AT_ONCE = 4
"""Workers that train at the same time; a machine of its own for each would not change what they log."""

STEPS = 40


@dataclass(frozen=True)
class Outcome:
    """What one log folder of many workers told.

    Attributes:
      named: the worker whose log shows the earliest bad step, and that step.
      planned: the same, as it really was.
      problems: what could not be read.
      bytes_per_worker: size of the log.
      seconds: what reading and judging all of them took.
    """

    named: tuple[str, int]
    planned: tuple[str, int]
    problems: list[str]
    bytes_per_worker: float
    seconds: float


def run_workers(context: ForkServerContext, logdir: Path, workers: int, seed: int = 0) -> Outcome:
    """Trains all workers and reads what they logged."""
    first, *others = random.Random(seed).sample(range(2, STEPS - 2), k=min(workers, STEPS - 4))
    bad_steps = {f"worker{k}": max(first + 1, others[k % len(others)]) for k in range(workers)}
    planned = f"worker{random.Random(seed).randrange(workers)}"
    bad_steps[planned] = first

    names = list(bad_steps)
    for some in (names[k : k + AT_ONCE] for k in range(0, workers, AT_ONCE)):
        trainings = [context.Process(target=train, args=(str(logdir / n), bad_steps[n], STEPS)) for n in some]
        for training in trainings:
            training.start()
        for training in trainings:
            training.join()
            if training.exitcode != 0:
                raise RuntimeError(f"a worker ended with exit code {training.exitcode}")
    started = time.perf_counter()
    runs = read_runs(str(logdir))
    found = [(f.first_step, run.name) for run in runs for s in run.measured if (f := analyse(s).verdict.finding)]
    step, named = min(found, default=(-1, "none"))
    size = sum(file.stat().st_size for file in logdir.rglob("*tfevents*"))
    problems = [problem for run in runs for problem in run.problems]
    if len(found) < workers:
        problems.append(f"{workers - len(found)} workers went bad unnoticed")
    return Outcome((named, step), (planned, first), problems, size / workers, time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers")
    parser.add_argument("--workers", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_workers(processes(), Path(folder), options.workers)
    print(
        f"{options.workers} workers, {outcome.bytes_per_worker:,.0f} bytes each, read and judged in "
        f"{outcome.seconds:.1f} s: the first to go bad was {outcome.planned[0]} at step {outcome.planned[1]}, "
        f"named was {outcome.named[0]} at step {outcome.named[1]}"
    )
    if outcome.problems or outcome.named != outcome.planned:
        sys.exit("; ".join(outcome.problems) or "the wrong worker was named")


if __name__ == "__main__":
    main()
