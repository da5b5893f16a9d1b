"""Kills trainings at random points and asks what their logs still tell.

``python -m benchmarks.crash --trials 100`` (or ``make crash``). Each trial trains under watch in a process of its
own, ends it with SIGKILL after a random number of steps and a random moment more, and then trains once more into the
same folder. A trial is lost when the log cannot be read, when a step that had gone bad before the kill is not named
in it, or when the restart has cost any of that.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tb_numstab.analysis.engine import analyse
from tb_numstab.store.event_files import read_runs
from tb_numstab.store.run_data import Session

MEASURED_EVERY = 5
LAST_BAD_STEP = 40
RESTARTED_STEPS = 3


@dataclass(frozen=True)
class Trial:
    """When a training goes bad and when it is killed; equal seeds give equal plans.

    Attributes:
      bad_step: the step whose logarithm is -Inf.
      kill_after: steps that have returned before the kill.
      delay: seconds from there to the kill.
    """

    bad_step: int
    kill_after: int
    delay: float

    @staticmethod
    def planned(seed: int) -> Trial:
        """A kill around, before or long after the bad step, at any point of a step's work."""
        chance = random.Random(seed)
        bad_step = chance.randrange(1, LAST_BAD_STEP)
        kill_after = chance.choice((bad_step, bad_step + 1, chance.randrange(2 * LAST_BAD_STEP)))
        return Trial(bad_step, kill_after, chance.uniform(0, 0.02))


@dataclass(frozen=True)
class Outcome:
    """What a trial left.

    Attributes:
      went_bad: whether the bad step had returned before the kill.
      records: step records that could be read of the killed training.
      losses: what should have been there and was not, in words.
    """

    went_bad: bool
    records: int
    losses: tuple[str, ...]


def train(log_dir: str, bad_step: int, steps: int, progress: Connection | None = None) -> None:
    """Takes the logarithm of a variable that reaches 0 at ``bad_step``.

    Args:
      log_dir: the run's folder.
      bad_step: the first step with a result that is not finite.
      steps: how many steps to take.
      progress: is told each step once its log_step has returned.
    """
    import tensorflow as tf  # in the process that trains, not in the one that reads

    import tb_numstab

    logging.getLogger("tb_numstab").disabled = True  # what is found is read from the log
    remaining = tf.Variable(float(bad_step))

    @tb_numstab.watch(every=MEASURED_EVERY)
    @tf.function
    def train_step() -> tf.Tensor:
        loss = tf.math.log(remaining)
        remaining.assign(tf.maximum(remaining - 1.0, 0.0))
        return loss

    with tf.summary.create_file_writer(log_dir).as_default():
        for step in range(steps):
            train_step()
            tb_numstab.log_step(step)
            if progress is not None:
                progress.send(step)


def processes() -> ForkServerContext:
    """Where trainings are started: TensorFlow is imported once, in a server that each of them is forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "tb_numstab.instrument.logger"])
    return context


def killed(context: ForkServerContext, log_dir: Path, trial: Trial) -> int:
    """Trains, kills, and returns the last step that is known to have returned; -1 if none."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=train, args=(str(log_dir), trial.bad_step, sys.maxsize, sender))
    process.start()
    sender.close()
    last = -1
    try:
        while last + 1 < trial.kill_after:
            last = receiver.recv()
        time.sleep(trial.delay)
        process.kill()
        while True:
            last = receiver.recv()  # what was on its way
    except (EOFError, OSError):
        process.join()
    if process.exitcode != -signal.SIGKILL:
        raise RuntimeError(f"the training ended by itself, with exit code {process.exitcode}")
    return last


def restarted(context: ForkServerContext, log_dir: Path) -> None:
    """A short training into the same folder that ends as it should, far from its own bad step."""
    process = context.Process(target=train, args=(str(log_dir), 2 * RESTARTED_STEPS, RESTARTED_STEPS))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the restarted training ended with exit code {process.exitcode}")


def run_trial(context: ForkServerContext, log_dir: Path, trial: Trial) -> Outcome:
    """One training killed and restarted."""
    last = killed(context, log_dir, trial)
    went_bad = last >= trial.bad_step
    before, losses = evidence(log_dir, trial, went_bad)
    restarted(context, log_dir)
    after, later_losses = evidence(log_dir, trial, went_bad)
    if after < before:
        later_losses.append(f"the restart cost {before - after} records")
    return Outcome(went_bad, before, (*losses, *(f"after the restart: {text}" for text in later_losses)))


def evidence(log_dir: Path, trial: Trial, went_bad: bool) -> tuple[int, list[str]]:
    """How many records of the first training can be read, and what is missing."""
    runs = read_runs(str(log_dir))
    losses = [problem for run in runs for problem in run.problems]
    sessions = [session for run in runs for session in run.measured]
    if went_bad and not (sessions and _names_the_bad_step(sessions[0], trial)):
        losses.append(f"step {trial.bad_step} went bad and is not named")
    return (len(sessions[0].steps) if sessions else 0), losses


def _names_the_bad_step(session: Session, trial: Trial) -> bool:
    finding = analyse(session).verdict.finding
    return finding is not None and (finding.site.op_type, finding.first_step) == ("Log", trial.bad_step)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="the first trial's seed; each takes the next one")
    options = parser.parse_args()
    context, outcomes = processes(), []
    for seed in range(options.seed, options.seed + options.trials):
        trial = Trial.planned(seed)
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(run_trial(context, Path(folder), trial))
        for loss in outcomes[-1].losses:
            print(f"seed {seed}: {trial}: {loss}", flush=True)
    bad, records = sum(o.went_bad for o in outcomes), sum(o.records for o in outcomes)
    lost = sum(bool(o.losses) for o in outcomes)
    print(
        f"{len(outcomes)} kills, {bad} of them after the bad step; {records} records read; {lost} trials lost something"
    )
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
