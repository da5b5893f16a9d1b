"""Two runs side by side: aligned by op, where they part first."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tb_numstab.views.align import Pairs, align
from tb_numstab.views.findings import verdict_view
from tb_numstab.views.json_values import Json
from tb_numstab.views.measure import FORMAT_VIEWS, measure_view
from tb_numstab.views.subject import Subject
from tb_numstab.views.timeline import ABSENT, ABSORBED, INF, MEASURED, NAN, Column

MAX_COMPARED = 60
"""Ops sent; those that part first come first."""

PARTED_BITS = 4
"""Runs part where largest magnitudes differ by a factor of 2**4; mere noise mostly stays below."""

TOGETHER, SCALE, ABSORPTION, NONFINITE = range(4)
_REASONS = {SCALE: "scale", ABSORPTION: "absorbed", NONFINITE: "nonfinite"}


def compare_view(subject: Subject, other: Subject) -> Json:
    """Ops that both runs have, the first to part first, with what each run measured at that step."""
    pairs = align(subject.ops, other.ops)
    columns = _common_columns(subject, other)
    at, reasons = _partings(pairs, columns)
    parted = np.flatnonzero(reasons)
    ranked = parted[np.lexsort((pairs[parted, 0], at[parted]))]
    # Many ops part at the same step: each record is decoded once.
    here, there = cache(subject.session.record), cache(other.session.record)

    def op_view(index: int) -> Json:
        slot, twin = pairs[index].tolist()
        step = columns[at[index]][0].last_step
        return {
            "op": subject.ops.ref(slot),
            "twin": other.ops.ref(twin),
            "step": step,
            "reason": _REASONS[int(reasons[index])],
            "here": measure_view(here(step), slot, subject.session.table[slot]),
            "there": measure_view(there(step), twin, other.session.table[twin]),
        }

    return {
        "run": subject.run.name,
        "against": other.run.name,
        "verdicts": [verdict_view(subject.verdict), verdict_view(other.verdict)],
        "formats": FORMAT_VIEWS,
        "aligned": len(pairs),
        "only_here": len(subject.ops.keys) - len(pairs),
        "only_there": len(other.ops.keys) - len(pairs),
        "common_steps": len(columns),
        "parted": len(ranked),
        "ops": [op_view(index) for index in ranked[:MAX_COMPARED].tolist()],
    }


def _common_columns(a: Subject, b: Subject) -> list[tuple[Column, Column]]:
    other = {column.last_step: column for column in b.timeline.columns}
    return [(column, other[column.last_step]) for column in a.timeline.columns if column.last_step in other]


def _partings(pairs: Pairs, columns: list[tuple[Column, Column]]) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Index of the column where each pair parts first, and why; TOGETHER where it never does."""
    at = np.zeros(len(pairs), np.intp)
    reasons = np.zeros(len(pairs), np.uint8)
    for i, (a, b) in enumerate(columns):
        open_pairs = np.flatnonzero((reasons == TOGETHER) & (pairs[:, 0] < len(a.marks)) & (pairs[:, 1] < len(b.marks)))
        ours, theirs = pairs[open_pairs].T
        marks = a.marks[ours], b.marks[theirs]
        tops = a.max_exp[ours].astype(np.int32), b.max_exp[theirs].astype(np.int32)
        measured = (marks[0] & marks[1] & MEASURED) > 0
        finite = (tops[0] != ABSENT) & (tops[1] != ABSENT)
        why = np.select(
            [
                measured & _in_one_only(marks, NAN | INF),
                measured & _in_one_only(marks, ABSORBED),
                measured & finite & (np.abs(tops[0] - tops[1]) >= PARTED_BITS),
            ],
            [NONFINITE, ABSORPTION, SCALE],
            TOGETHER,
        )
        reasons[open_pairs] = why
        at[open_pairs[why != TOGETHER]] = i
    return at, reasons


def _in_one_only(marks: tuple[NDArray[np.uint8], NDArray[np.uint8]], bits: int) -> NDArray[np.bool_]:
    return np.asarray(((marks[0] & bits) > 0) != ((marks[1] & bits) > 0), np.bool_)
