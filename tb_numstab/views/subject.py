"""Subject: one session with everything that the pages derive from it, kept up to date cheaply."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.spread import Spread
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.timeline import Timeline

MAX_SUBJECTS = 32
"""Sessions kept analysed; those looked at least recently make room."""

PUBLISHED_EVERY = 0.4
"""Seconds after which a long session is shown as far as it was judged."""


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


class Subjects:
    """The subjects of a log folder, each made once and then grown.

    A training that is still running adds records between two requests: only these are decoded and
    judged. Thread-safe.
    """

    def __init__(self) -> None:
        self._growing: OrderedDict[tuple[str, str], _Growing] = OrderedDict()
        self._verdicts: dict[tuple[str, str], tuple[object, Verdict]] = {}
        self._lock = threading.Lock()

    def get(self, run: RunData, session_id: str | None = None, patience: float | None = None) -> Subject:
        """The subject of one session of a run, by default its latest.

        Args:
          run: the run.
          session_id: the session's id.
          patience: seconds to wait. Then a long session is returned as far as it was judged, and the rest
            is judged in the background. None waits for all.

        Raises:
          NotInData: the run has no such session, or none at all.
        """
        session = find_session(run, session_id)
        key = (run.name, session.id)
        with self._lock:
            growing = self._growing.setdefault(key, _Growing())
            self._growing.move_to_end(key)
            while len(self._growing) > MAX_SUBJECTS:
                self._growing.popitem(last=False)
        subject = growing.take(run, session, patience)
        if subject.judged == len(subject.session.steps):
            self._verdicts[key] = _version(subject.session), subject.verdict
        return subject

    def verdict(self, run: RunData, session_id: str | None = None) -> Verdict:
        """The verdict on a session; kept longer than its subject, for lists of many runs. Raises as ``get``."""
        session = find_session(run, session_id)
        version, verdict = self._verdicts.get((run.name, session.id), (None, None))
        if verdict is None or version != _version(session):
            return self.get(run, session.id).verdict
        return verdict

    def progress(self, run: RunData, session_id: str | None = None) -> tuple[Session, int]:
        """A session and how many of its records have been taken in; never waits for the others.

        Raises:
          NotInData: as for ``get``.
        """
        session = find_session(run, session_id)
        with self._lock:
            growing = self._growing.get((run.name, session.id))
        return session, 0 if growing is None else growing.done


class _Growing:
    """What has been derived from a session so far.

    One thread at a time takes in records, and publishes a Subject now and then; those who ask wait for
    it no longer than they want.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted: tuple[RunData, Session] | None = None
        self._subject: Subject | None = None
        self._error: Exception | None = None
        self._working = False
        self._start_over()

    @property
    def done(self) -> int:
        """How many records are taken in."""
        return len(self._steps)

    def take(self, run: RunData, session: Session, patience: float | None) -> Subject:
        """Waits until all of the session is taken in, or for ``patience`` seconds; but for the first part always."""
        with self._changed:
            self._wanted, self._error = (run, session), None
            if not self._working and not self._is_whole():
                self._working = True
                threading.Thread(target=self._work, name=f"numstab {run.name}", daemon=True).start()
            self._changed.wait_for(lambda: not self._working, patience)
            self._changed.wait_for(lambda: self._is_of(session) or not self._working)
            if self._error is not None:
                raise self._error
            assert self._subject is not None
            return self._subject

    def _is_of(self, session: Session) -> bool:
        return self._subject is not None and self._subject.session is session

    def _is_whole(self) -> bool:
        known = self._subject
        if known is None or self._wanted is None:
            return False
        run, session = self._wanted
        return known.run is run and known.session is session and known.judged == len(session.steps)

    def _work(self) -> None:
        """Takes in what is wanted, until there is no more."""
        while (wanted := self._next()) is not None:
            try:
                self._grow(*wanted)
            except Exception as error:  # noqa: BLE001 - raised in the threads that wait for it
                with self._changed:
                    self._error, self._working = error, False
                    self._changed.notify_all()
                return

    def _next(self) -> tuple[RunData, Session] | None:
        """What is to be taken in; None ends the work."""
        with self._changed:
            if not self._is_whole():
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
        if not self._continues(session):
            self._start_over()
        if len(session.table) > len(self._ops.table):
            self._engine.extend(session.table[len(self._ops.table) :])
            self._ops = OpIndex(session.table)
        published = time.monotonic()
        for record in session.records(len(self._steps)):
            self._engine.feed(record)
            self._timeline.feed(record, len(session.table))
            self._spread.feed(self._engine.graph, record)
            self._steps.append(record.step)
            if time.monotonic() - published > PUBLISHED_EVERY:
                self._publish(run, session)
                published = time.monotonic()
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
            self._changed.notify_all()


def _version(session: Session) -> object:
    """What changes when a session grows."""
    return len(session.steps), session.steps[-1:]


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
