"""The first look: what runs there are, and how one of them is doing."""

from __future__ import annotations

from collections.abc import Sequence

from tb_numstab.store.run_data import RunData, RunSummary, Session, SessionSummary
from tb_numstab.views.findings import finding_view, verdict_view
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import Subject

API_VERSION = 1
"""Version of all the JSON answers; the frontend refuses to guess at another one."""


def runs_view(runs: Sequence[RunSummary]) -> Json:
    """The runs that hold measurements, without analysing any."""
    return {"api": API_VERSION, "runs": [_run_view(run) for run in runs]}


def verdict_only_view(subject: Subject) -> Json:
    """One run's verdict, for the list of runs, and how many of its records it is about."""
    return {
        "run": subject.run.name,
        "verdict": verdict_view(subject.verdict),
        "judged": subject.judged,
        "records": len(subject.session.steps),
    }


def progress_view(run: RunData, session: Session, done: int) -> Json:
    """How many records of a session have been read and judged so far."""
    return {"run": run.name, "session": session.id, "done": done, "total": len(session.steps)}


def overview_view(subject: Subject) -> Json:
    """Verdict, ranked findings, and what the reader should know about the data itself."""
    session = subject.session
    last = session.record(session.steps[-1]) if session.steps else None
    return {
        "run": subject.run.name,
        "session": _session_view(session.summary()),
        "judged": subject.judged,
        "sessions": [_session_view(s.summary()) for s in subject.run.sessions],
        "problems": list(subject.run.problems),
        "notes": [] if last is None else list(last.notes),
        "verdict": None if last is None else verdict_view(subject.verdict),
        "findings": [finding_view(f, subject.ops) for f in subject.findings],
        "slots": len(session.table),
        "groups": len(set(subject.ops.groups)),
        "formats": sorted({site.dtype for site in session.table}),
    }


def _run_view(run: RunSummary) -> Json:
    return {
        "name": run.name,
        "sessions": [_session_view(s) for s in run.sessions],
        "problems": list(run.problems),
    }


def _session_view(session: SessionSummary) -> Json:
    return {
        "id": session.id,
        "worker": session.worker,
        "records": session.records,
        "first_step": session.first_step,
        "last_step": session.last_step,
    }
