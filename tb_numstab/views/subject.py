"""Subject: one session with everything that the pages derive from it, kept up to date cheaply."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.spread import Spread
from tb_numstab.store import heap
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.timeline import Timeline

SLOT_BYTES = 2500
"""Memory that a judged session takes for each slot, timeline and records left out; measured on a transformer."""

UNASKED = 10.0
"""Seconds after which a session is judged no further while nobody asks about it."""


class NotInData(LookupError):
    """What was asked for is not in the data; the message says what and is fit to show."""


@dataclass(frozen=True)
class Judged:
    """One session and what is to be said about it.

    Attributes:
      run: the run it belongs to.
      session: the measurements.
      findings: what the analysis found, worst first.
      verdict: the session in one sentence.
      ops: names and groups of its slots.
    """

    run: RunData
    session: Session
    findings: Sequence[Finding]
    verdict: Verdict
    ops: OpIndex


@dataclass(frozen=True)
class Subject(Judged):
    """One session and all that the pages derive from it.

    Attributes:
      judged: how many of its records everything here is about, from the first on.
      graph: its op table as the analysis sees it.
      timeline: exponents and marks of every slot over the steps.
      spread: how each slot's magnitudes spread, over all steps together.
    """

    judged: int
    graph: OpGraph
    timeline: Timeline
    spread: Spread

    @property
    def is_whole(self) -> bool:
        """Whether that is all of its records."""
        return self.judged == len(self.session.steps)


class Subjects:
    """The subjects of some runs, each made once and then grown.

    A training that is still running adds records between two requests: only these are decoded and
    judged. Thread-safe.
    """

    def __init__(self) -> None:
        self._growing: dict[tuple[str, str], _Growing] = {}

    def get(self, run: RunData, session_id: str | None = None, patience: float | None = None) -> Subject:
        """The subject of one session of a run, by default its latest.

        Args:
          run: the run.
          session_id: the session's id.
          patience: seconds to wait. Then a long session is returned as far as it was judged, but for its
            first record, and the rest is judged in the background as long as somebody asks now and then.
            None waits for all.

        Raises:
          NotInData: the run has no such session, or none at all.
        """
        session = find_session(run, session_id)
        return self._growing.setdefault((run.name, session.id), _Growing()).take(run, session, patience)

    def progress(self, run: RunData, session_id: str | None = None) -> tuple[Session, int]:
        """A session and how many of its records have been taken in; never waits for the others.

        Raises:
          NotInData: as for ``get``.
        """
        session = find_session(run, session_id)
        growing = self._growing.get((run.name, session.id))
        return session, 0 if growing is None else growing.done

    @property
    def nbytes(self) -> int:
        """About how many bytes of memory these take beside their runs."""
        return sum(growing.nbytes for growing in list(self._growing.values()))


class _Growing:
    """What has been derived from a session so far.

    One thread at a time takes in records. It publishes a Subject when there are no more, and before that
    when somebody has waited as long as he wants.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted: tuple[RunData, Session] | None = None
        self._subject: Subject | None = None
        self._error: Exception | None = None
        self._working = self._due = False
        self._waiting = 0
        self._asked = 0.0
        self._start_over()

    @property
    def done(self) -> int:
        """How many records are taken in."""
        return len(self._steps)

    @property
    def nbytes(self) -> int:
        """About how many bytes of memory this takes."""
        return SLOT_BYTES * len(self._ops.table) + self._timeline.nbytes

    def take(self, run: RunData, session: Session, patience: float | None) -> Subject:
        """Waits until all of the session is taken in, or for ``patience`` seconds; but for the first record always."""
        with self._changed:
            if not self._is_wanted(run, session):
                self._wanted = run, session
            self._error, self._asked = None, time.monotonic()
            if not self._working and not self._is_whole():
                threading.Thread(target=self._work, name=f"numstab {run.name}", daemon=True).start()
                self._working = True
            self._waiting += 1
            if not self._changed.wait_for(lambda: not self._working, patience):
                self._due = True
                self._changed.wait_for(lambda: not (self._due and self._working))
            self._waiting -= 1
            if self._error is not None:
                raise self._error
            assert self._subject is not None
            return self._subject

    def _is_wanted(self, run: RunData, session: Session) -> bool:
        return self._wanted is not None and self._wanted[0] is run and self._wanted[1] is session

    def _is_whole(self) -> bool:
        known = self._subject
        return known is not None and self._is_wanted(known.run, known.session) and known.is_whole

    def _is_asked(self) -> bool:
        return self._waiting > 0 or time.monotonic() - self._asked < UNASKED

    def _work(self) -> None:
        """Takes in what is wanted, until there is no more or nobody asks for it."""
        while (wanted := self._next()) is not None:
            try:
                self._grow(*wanted)
            except Exception as error:  # noqa: BLE001 - raised in the threads that wait for it
                self._start_over()  # how much of a record was taken in is not known
                with self._changed:
                    self._error, self._working = error, False
                    self._changed.notify_all()
                return
        heap.trim()

    def _next(self) -> tuple[RunData, Session] | None:
        """What is to be taken in; None ends the work."""
        with self._changed:
            if not self._is_whole() and self._is_asked():
                return self._wanted
            self._working = False
            self._changed.notify_all()
            return None

    def _start_over(self) -> None:
        self._engine = Engine()
        self._timeline = Timeline()
        self._spread = Spread()
        self._ops = OpIndex(())
        self._steps: list[int] = []

    def _continues(self, session: Session) -> bool:
        """Whether the session only added to what was taken in; sampling can also change the past."""
        steps, table = len(self._steps), self._ops.table
        return self._steps == session.steps[:steps] and tuple(table) == tuple(session.table[: len(table)])

    def _grow(self, run: RunData, session: Session) -> None:
        """Takes in what a session has more; ends early where more is there by now, or nobody asks."""
        if not self._continues(session):
            self._start_over()
        if len(session.table) > len(self._ops.table):
            self._engine.extend(session.table[len(self._ops.table) :])
            self._ops = OpIndex(session.table)
        for record in session.records(len(self._steps)):
            self._engine.feed(record)
            self._timeline.feed(record, len(session.table))
            self._spread.feed(self._engine.graph, record)
            self._steps.append(record.step)
            if not (self._is_wanted(run, session) and self._is_asked()):
                return
            if self._due:
                self._publish(run, session)
        self._publish(run, session)

    def _publish(self, run: RunData, session: Session) -> None:
        subject = Subject(
            run,
            session,
            self._engine.findings(),
            self._engine.verdict(),
            self._ops,
            len(self._steps),
            self._engine.graph,
            self._timeline.copy(),
            self._spread,
        )
        with self._changed:
            self._subject = subject
            self._due = self._due and not self._is_wanted(run, session)
            self._changed.notify_all()


def find_session(run: RunData, session_id: str | None) -> Session:
    """The session of that id, or the latest.

    Raises:
      NotInData: there is none.
    """
    if not run.sessions:
        raise NotInData(f'Run "{run.name}" holds no measurements yet.')
    if session_id is None:
        return run.sessions[-1]
    for session in run.sessions:
        if session.id == session_id:
            return session
    raise NotInData(f'Run "{run.name}" has no session "{session_id}".')
