"""Runs and subjects of the synthetic trainings, made in memory."""

from __future__ import annotations

from functools import cache

from tb_numstab.schema.record import encode_record
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.subject import Subject, Subjects
from tests.support.runs import SyntheticRun, make_run


@cache
def synthetic(name: str) -> SyntheticRun:
    return make_run(name)


def run_of(name: str, records: int | None = None) -> RunData:
    """The synthetic training as a run, its first ``records`` records only."""
    made = synthetic(name)
    kept = made.records[:records]
    session = Session(
        id=kept[0].session if kept else "s",
        table=made.sites,
        steps=[record.step for record in kept],
        encoded=[encode_record(record) for record in kept],
    )
    return RunData(name, [session])


def subject_of(name: str) -> Subject:
    return Subjects().get(run_of(name))
