"""Judges sessions for a command, several at a time where there are many."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.cli.reading import ProgressLine
from tb_numstab.store.event_files import Progress
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.subject import Judged

MANY = 2_000
"""Records, in all sessions, from which further processes are worth it: a record takes about 1.5 ms, a process half a
second to start."""

MAX_PROCESSES = 8
"""Each holds a copy of the session that it judges."""

_Judgement = tuple[list[Finding], Verdict]


def judged(wanted: Sequence[tuple[RunData, Session]], verb: str) -> Iterator[Judged]:
    """The sessions in this order, each with all of its records judged, and nothing else derived from them.

    Args:
      wanted: the sessions.
      verb: what a progress line says that the command does.
    """
    done = 0
    with ProgressLine(verb) as progress:
        try:
            for judgement in _side_by_side([session for _, session in wanted]):
                run, session = wanted[done]
                done += 1
                progress(run.name, done, len(wanted))
                yield _subject(run, session, judgement)
        except (BrokenProcessPool, ImportError, OSError):
            pass  # no semaphores on this system, or a process was killed: one process will do
        for run, session in wanted[done:]:
            yield _subject(run, session, judge(session, run.name, progress))


def judge(session: Session, name: str = "", progress: Progress | None = None) -> _Judgement:
    """Findings, the most harmful first, and verdict of a session; ``progress`` is told of each record."""
    engine = Engine()
    engine.extend(session.table)
    for done, record in enumerate(session.records()):
        if progress is not None:
            progress(name, done, len(session.steps))
        engine.feed(record)
    return engine.findings(), engine.verdict()


def _side_by_side(sessions: Sequence[Session]) -> Iterator[_Judgement]:
    """What further processes say of each session, in order; nothing where they are not worth it."""
    processes = min(len(sessions), MAX_PROCESSES, os.cpu_count() or 1)
    if processes > 1 and sum(len(session.steps) for session in sessions) >= MANY:
        context = multiprocessing.get_context("spawn")  # not forked: numpy may have threads
        with ProcessPoolExecutor(processes, context, _follow_parent) as pool:
            yield from pool.map(judge, sessions)


def _follow_parent() -> None:
    """Leaves Ctrl-C to the process that was started; where that is killed, this one ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a process of the pool"

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _subject(run: RunData, session: Session, judgement: _Judgement) -> Judged:
    findings, verdict = judgement
    return Judged(run, session, findings, verdict, OpIndex(session.table))
