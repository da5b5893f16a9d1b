"""A run for notebooks: numpy arrays, the findings, and a table of them as the cell's output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.analysis.narrate import counted
from tb_numstab.analysis.precision import precision_advice
from tb_numstab.analysis.precision_words import summary
from tb_numstab.schema.columns import COLUMNS, INDEX
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord
from tb_numstab.store.event_files import read_runs
from tb_numstab.store.run_data import RunData
from tb_numstab.views.subject import Subject, Subjects

_GIVE_THE_LOG_FOLDER = (
    "give the folder that was given to NumericalHealth or tf.summary.create_file_writer, or one above it"
)


def load_run(path: str | os.PathLike[str], run: str | None = None, session: str | None = None) -> Run:
    """Reads and judges one run.

    Args:
      path: the run's folder, or a log folder above it.
      run: the run's name in TensorBoard; needed where the folder holds several.
      session: a session id; by default the latest with a record.

    Raises:
      FileNotFoundError: no such folder.
      NotADirectoryError: path is a file.
      ValueError: no run, or several to choose from; the message names them.
      LookupError: the run has no such session.
    """
    logdir = os.fspath(path)
    try:
        found = [r for r in read_runs(logdir, run) if r.measured]
    except FileNotFoundError as error:
        where = logdir if "://" in logdir else os.path.abspath(logdir)
        raise FileNotFoundError(f"there is no folder {where}: {_GIVE_THE_LOG_FOLDER}") from error
    if not found and run is not None:
        raise ValueError(f"{logdir} has no measured run {run!r}; it has {_names(read_runs(logdir)) or 'none'}")
    if not found:
        raise ValueError(f"{logdir} holds no step record of tb-numstab: {_GIVE_THE_LOG_FOLDER}")
    if len(found) > 1:
        raise ValueError(f"{logdir} holds several runs, give one as run=: {_names(found)}")
    return Run(found[0], session)


def _names(runs: Sequence[RunData]) -> str:
    return ", ".join(run.name for run in runs if run.measured)


class Run:
    """One session of a run.

    Attributes:
      name: TensorBoard's name of the run.
      session: the session's id.
      sessions: ids of all sessions of the run, by start time.
      table: the op table; ``table[slot]`` is the slot's OpSite.
      steps: int64 [S], the measured steps, ascending.
      findings: the most harmful first.
      verdict: the session in one sentence.
      problems: a sentence for each thing that could not be read.
    """

    def __init__(self, data: RunData, session: str | None = None) -> None:
        self._subject: Subject = Subjects().get(data, session or data.measured[-1].id)
        self.name = data.name
        self.session = self._subject.session.id
        self.sessions = [s.id for s in data.sessions]
        self.table: Sequence[OpSite] = self._subject.session.table
        self.steps: NDArray[np.int64] = np.array(self._subject.session.steps, np.int64)
        self.findings: Sequence[Finding] = self._subject.findings
        self.verdict: Verdict = self._subject.verdict
        self.problems = list(data.problems)

    def record(self, step: int) -> StepRecord:
        """Everything measured in one step.

        Raises:
          KeyError: the step was not measured.
        """
        return self._subject.session.record(step)

    def column(self, name: str) -> NDArray[np.float64]:
        """One counter over time.

        Args:
          name: a name of ``schema.columns.COLUMNS``, for example ``"max_exp"`` or ``"nan"``.

        Returns:
          float64 [S, slots]; NaN where a slot was not measured or has no such quantity.

        Raises:
          KeyError: no counter has this name.
        """
        index = INDEX[name]
        out = np.full((len(self.steps), len(self.table)), np.nan)
        for position, record in enumerate(self._subject.session.records()):
            out[position, record.slots] = record.rows[:, index]
        return out

    def as_columns(self) -> dict[str, NDArray[Any]]:
        """One entry for each measured slot of each step, for ``pandas.DataFrame(run.as_columns())``.

        Returns:
          Arrays of one length: step, slot, op_type, name, layer, source ("file:line") and every counter.
        """
        records = list(self._subject.session.records())
        slots = np.concatenate([r.slots for r in records])
        sites = {
            "op_type": [s.op_type for s in self.table],
            "name": [s.name for s in self.table],
            "layer": [s.layer for s in self.table],
            "source": [str(s.source or "") for s in self.table],
        }
        rows = np.concatenate([r.rows for r in records])
        return {
            "step": np.concatenate([np.full(len(r.slots), r.step) for r in records]),
            "slot": slots,
            **{name: np.array(values, object)[slots] for name, values in sites.items()},
            **{column.name: rows[:, i] for i, column in enumerate(COLUMNS)},
        }

    def precision(self) -> list[str]:
        """What 16-bit formats would do to the run, in sentences; the first says what to do."""
        graph, spread = self._subject.graph, self._subject.spread
        return summary(graph, precision_advice(graph, spread)) if spread.records else []

    def __repr__(self) -> str:
        return (
            f"<Run {self.name!r}: {self.verdict.status.value}, {counted(len(self.findings), 'finding')}, "
            f"{counted(len(self.steps), 'step')} of {counted(len(self.table), 'tensor')}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and the findings."""
        cells = (
            (
                f.severity.value,
                f.title,
                str(f.site.source or f.site.name),
                f"{f.first_step}–{f.last_step}" if f.last_step != f.first_step else str(f.first_step),
                f.summary,
                f.fix.text,
            )
            for f in self.findings
        )
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        head = "".join(f"<th>{name}</th>" for name in ("severity", "what", "where", "steps", "why", "fix"))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        return (
            f"<p><b>{escape(self.name)}: {self.verdict.status.value}.</b> {escape(self.verdict.text)}</p>{table}"
            + "".join(f"<p>{escape(problem)}</p>" for problem in self.problems)
        )
