"""Where a tensor's largest magnitude is heading."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import OneRow
from tb_numstab.analysis.forecast import WINDOW, forecast
from tb_numstab.schema.columns import Row
from tb_numstab.schema.formats import FORMATS
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import Subject
from tb_numstab.views.timeline import ABSENT, INF, NAN, Column

_LEAST_RISE = 2
"""Bits over the window below which no trend is looked for, which would cost decoding its records."""


def outlook_view(subject: Subject, slot: int) -> Json | None:
    """When the tensor will overflow if it goes on as in the last records, or None when nothing says so.

    ``steps``, ``low`` and ``high`` count from ``step``, the last record, where ``bits`` were left.
    """
    fmt = FORMATS.get(subject.session.table[slot].dtype)
    if fmt is None or not _rising(subject.timeline.columns[-WINDOW:], slot):
        return None
    steps, values = [], []
    for record in map(subject.session.record, subject.session.steps[-WINDOW:]):
        if (at := record.row_of(slot)) is not None:
            steps.append(float(record.step))
            values.append(_magnitude(record.rows[at]))
    known = np.isfinite(values)
    limit = fmt.max_exp + 1
    found = forecast(np.array(steps)[known], np.array(values)[known], limit)
    if found is None:
        return None
    return {
        "step": int(steps[-1]),
        "bits": limit - values[-1],
        "steps": found.steps,
        "low": found.low,
        "high": found.high,
        "text": found.text("overflows"),
    }


def _rising(columns: list[Column], slot: int) -> bool:
    """Whether the exponent rose and all is still finite."""
    known = [c for c in columns if slot < len(c.marks) and c.max_exp[slot] != ABSENT]
    if not known or any(c.marks[slot] & (NAN | INF) for c in known):
        return False
    return int(known[-1].max_exp[slot]) - int(known[0].max_exp[slot]) >= _LEAST_RISE


def _magnitude(row: Row) -> float:
    """log2 of the largest finite magnitude; -inf where there is none."""
    largest = OneRow(row).magnitude
    return float(np.log2(largest)) if largest > 0 else -np.inf
