"""Subject: one session with everything that the pages derive from it, kept up to date cheaply."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.spread import Spread
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import decode_record
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.timeline import Timeline

MAX_SUBJECTS = 32
"""Sessions kept analysed; those looked at least recently make room."""


class NotInData(LookupError):
    """What was asked for is not in the data; the message says what and is fit to show."""


@dataclass(frozen=True)
class Subject:
    """One session and what is derived from it.

    Attributes:
      run: the run it belongs to.
      session: the measurements.
      findings: what the analysis found in exactly these measurements, worst first.
      verdict: the session in one sentence.
      graph: its op table as the analysis sees it.
      ops: names and neighbours of its slots.
      timeline: exponents and marks of every slot over the steps.
      spread: how each slot's magnitudes spread, over all steps together.
    """

    run: RunData
    session: Session
    findings: Sequence[Finding]
    verdict: Verdict
    graph: OpGraph
    ops: OpIndex
    timeline: Timeline
    spread: Spread


class Subjects:
    """The subjects of a log folder, each made once and then grown.

    A training that is still running adds records between two requests: only these are decoded and
    judged. Thread-safe.
    """

    def __init__(self) -> None:
        self._growing: OrderedDict[tuple[str, str], _Growing] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run: RunData, session_id: str | None = None) -> Subject:
        """The subject of one session of a run, by default its latest.

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
        return growing.take(run, session)


class _Growing:
    """What has been derived from a session so far. A long one does not keep others waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subject: Subject | None = None
        self._start_over()

    def take(self, run: RunData, session: Session) -> Subject:
        """Takes in what is new and returns the subject as it is now."""
        with self._lock:
            known = self._subject
            if known is not None and known.session is session and known.run is run:
                return known
            if not self._continues(session):
                self._start_over()
            self._subject = self._grown(run, session)
            return self._subject

    def _start_over(self) -> None:
        self._engine = Engine()
        self._timeline = Timeline()
        self._spread = Spread()
        self._steps: list[int] = []
        self._table: Sequence[OpSite] = ()

    def _continues(self, session: Session) -> bool:
        """Whether the session only added to what was taken in; sampling can also change the past."""
        steps, table = len(self._steps), len(self._table)
        return self._steps == session.steps[:steps] and tuple(self._table) == tuple(session.table[:table])

    def _grown(self, run: RunData, session: Session) -> Subject:
        self._engine.extend(session.table[len(self._table) :])
        for data in session.encoded[len(self._steps) :]:
            record = decode_record(data)
            self._engine.feed(record)
            self._timeline.feed(record, len(session.table))
            self._spread.feed(self._engine.graph, record)
        self._steps, self._table = list(session.steps), session.table
        return Subject(
            run,
            session,
            self._engine.findings(),
            self._engine.verdict(),
            self._engine.graph,
            OpIndex(session.table),
            self._timeline,
            self._spread,
        )


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
