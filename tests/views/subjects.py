"""Runs and subjects of the synthetic trainings, made in memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from tb_numstab.schema.columns import INDEX
from tb_numstab.schema.record import StepRecord, encode_record
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.subject import Subject, Subjects
from tests.support.runs import SyntheticRun, make_run


@cache
def synthetic(name: str) -> SyntheticRun:
    return make_run(name)


def run_of(name: str, records: int | None = None) -> RunData:
    """The synthetic training as a run, its first ``records`` records only."""
    return as_run(name, synthetic(name), records)


def as_run(name: str, made: SyntheticRun, records: int | None = None) -> RunData:
    kept = made.records[:records]
    session = Session(
        id=kept[0].session if kept else "s",
        table=made.sites,
        steps=[record.step for record in kept],
        encoded=[encode_record(record) for record in kept],
    )
    return RunData(name, [session])


def growing(slot: int, bits_per_step: float, first_bits: float = 40, steps: int = 20) -> SyntheticRun:
    """The healthy training, with the largest value of one slot made to grow."""
    made = synthetic("healthy")

    def grown(record: StepRecord) -> StepRecord:
        rows, bits = record.rows.copy(), first_bits + bits_per_step * record.step
        rows[slot, INDEX["max"]], rows[slot, INDEX["max_exp"]] = 2.0**bits, np.floor(bits)
        return replace(record, rows=rows)

    return replace(made, records=tuple(grown(record) for record in made.records[:steps]))


def subject_of(name: str) -> Subject:
    return Subjects().get(run_of(name))
