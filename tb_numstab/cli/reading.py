"""The log folder as a command's input: arguments, progress, and what to say when it is not there."""

from __future__ import annotations

import argparse
import sys
import time
from types import TracebackType
from typing import Self

from tb_numstab.cli.errors import CliError
from tb_numstab.cli.text import printable
from tb_numstab.store.event_files import LogFolder, read_runs
from tb_numstab.store.run_data import RunData


class NoFolderError(CliError):
    """The log folder is not there; it may be one day."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds LOGDIR and --run."""
    parser.add_argument("logdir", metavar="LOGDIR", help="the folder given to tf.summary, or any folder above it")
    parser.add_argument("--run", metavar="RUN", help='only this run, by the name TensorBoard shows ("." for LOGDIR)')


def read(options: argparse.Namespace) -> list[RunData]:
    """The runs that hold at least one step record.

    Raises:
      CliError: there is none.
    """
    runs = read_folder(LogFolder(options.logdir, options.run), options)
    measured = [run for run in runs if run.measured]
    if not measured:
        raise CliError(_nothing_to_read(options, runs))
    return measured


def read_folder(folder: LogFolder, options: argparse.Namespace, told: set[str] | None = None) -> list[RunData]:
    """Every run of a folder; what could not be read is said on stderr.

    Args:
      folder: the folder.
      options: the command's.
      told: what was said before, and is not said again.

    Raises:
      CliError: the folder itself cannot be read.
    """
    try:
        with ProgressLine("Reading") as progress:
            runs = folder.read(progress)
    except FileNotFoundError as error:
        raise NoFolderError(f"{options.logdir}: there is no such folder") from error
    except NotADirectoryError as error:
        raise CliError(f"{options.logdir} is a file: give the folder it is in") from error
    except OSError as error:
        raise CliError(f"{options.logdir} could not be read: {error.strerror or error}") from error
    told = set() if told is None else told
    sentences = [f"run {run.name}: {problem}" for run in runs for problem in run.problems]
    for sentence in sentences:
        if sentence not in told:
            print(f"tb-numstab: {printable(sentence)}", file=sys.stderr)
    told.update(sentences)
    return runs


def read_or_wait(folder: LogFolder, options: argparse.Namespace, told: set[str]) -> list[RunData]:
    """As read_folder, for a training that is about to begin: what is not there yet is no error, and is said once."""
    try:
        runs = read_folder(folder, options, told)
        missing = "" if any(run.measured for run in runs) else "holds no step record yet: waiting for one"
    except NoFolderError:
        runs, missing = [], "is not there yet: waiting for it"
    if missing and missing not in told:
        print(f"tb-numstab: {printable(options.logdir)} {missing}", file=sys.stderr)
        told.add(missing)
    return runs


def _nothing_to_read(options: argparse.Namespace, runs: list[RunData]) -> str:
    if runs:
        return f"{options.logdir} holds tb-numstab data, but no step record that could be read"
    if options.run is None:
        asked = "was the training step watched and log_step called, or fit given NumericalHealth?"
        return f"{options.logdir} holds no tb-numstab data: {asked}"
    names = [printable(run.name) for run in read_runs(options.logdir)]
    known = f"the runs are {', '.join(names)}" if names else "there is no run with tb-numstab data"
    return f"{options.logdir} has no run {printable(options.run)}: {known}"


class ProgressLine:
    """One line on stderr that tells how far a long job is; silent when it is short, or stderr a file."""

    DELAY = 1.0
    """Seconds before the first word: a quick command stays quiet."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._start = time.monotonic()
        self._shown = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows that ``done`` of ``total`` parts are done and ``what`` is next."""
        if sys.stderr.isatty() and time.monotonic() - self._start > self.DELAY:
            self._shown = True
            filled = "#" * (20 * done // max(total, 1))
            sys.stderr.write(f"\r\x1b[K{self._verb} [{filled:<20}] {done}/{total} {printable(what)[:60]}")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
