"""RunData: everything one run logged, however it was read. Analysis and views start here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord, decode_readable
from tb_numstab.store.decoded import DECODED, Histograms

SITE_BYTES = 600
"""Memory that an op table takes for each of its slots, measured on a transformer."""


@dataclass(frozen=True)
class SessionSummary:
    """What a list of runs tells about a session.

    Attributes:
      id, worker: as in Session.
      records: how many were written.
      first_step, last_step: None where there is none, or none is known without reading all records.
    """

    id: str
    worker: str = ""
    records: int = 0
    first_step: int | None = None
    last_step: int | None = None


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs tells about one; ``name`` and ``problems`` as in RunData."""

    name: str
    sessions: Sequence[SessionSummary] = ()
    problems: Sequence[str] = ()


@dataclass
class Session:
    """One process's part of a run: a restart, or another worker, is another session.

    Records stay compressed in memory and are decoded when asked for, so a run costs about its size
    on disk.

    Attributes:
      id: the session id, which sorts by start time.
      worker: "" in a one-process run.
      table: the op table; ``table[slot]`` is the slot's OpSite.
      steps: ascending steps that have a record.
      encoded: the stored bytes of each record, in the order of ``steps``.
    """

    id: str
    worker: str = ""
    table: Sequence[OpSite] = ()
    steps: list[int] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)

    def record(self, step: int) -> StepRecord:
        """The record of one step.

        Raises:
          KeyError: the step was not measured, or its record was sampled away.
        """
        return decode_readable(self.encoded[self._index(step)])

    def histograms(self, step: int) -> Histograms:
        """One step's exponent histograms; asked for again soon, they cost nothing. Raises as ``record``."""
        return DECODED.get(self.encoded[self._index(step)])

    def _index(self, step: int) -> int:
        index = bisect_left(self.steps, step)
        if index == len(self.steps) or self.steps[index] != step:
            raise KeyError(step)
        return index

    def summary(self) -> SessionSummary:
        """This session in a list of runs."""
        first, last = (self.steps[0], self.steps[-1]) if self.steps else (None, None)
        return SessionSummary(self.id, self.worker, len(self.steps), first, last)

    @cached_property
    def nbytes(self) -> int:
        """About how many bytes of memory this takes."""
        return sum(map(len, self.encoded)) + SITE_BYTES * len(self.table)

    def records(self, first: int = 0) -> Iterator[StepRecord]:
        """The records in step order, from the ``first`` on, decoded one at a time."""
        return (decode_readable(data) for data in self.encoded[first:])


@dataclass
class RunData:
    """One run.

    Attributes:
      name: TensorBoard's run name; "." for the log folder itself.
      sessions: by start time. The last one is the current state of the run.
      problems: one sentence for each thing that could not be read.
    """

    name: str
    sessions: list[Session] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def summary(self) -> RunSummary:
        """This run in a list of runs."""
        return RunSummary(self.name, [session.summary() for session in self.sessions], tuple(self.problems))

    @property
    def measured(self) -> list[Session]:
        """The sessions that hold a record, by start time."""
        return [session for session in self.sessions if session.steps]
