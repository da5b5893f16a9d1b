"""The health map: every tensor over every step, reduced to a bounded number of cells.

Rows are tensors ordered by group, so that a layer's ops lie together. Where a range of rows holds more
than fit, a row stands for a whole group, or for several groups in a row; asking for that row's range
shows what is in it. A cell always shows the worst of what it covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from tb_numstab.analysis.finding import Severity
from tb_numstab.schema.formats import FORMATS
from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.views.json_values import Json, packed
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.subject import Subject
from tb_numstab.views.timeline import ABSENT, Column, bundled

MAX_ROWS = 200
MAX_COLUMNS = 400

_FAR = 32767
"""Headroom of a tensor about which nothing is known: worse than nothing else."""

NO_BITS = 0
"""A packed headroom that is not known; others are headroom + 1, at most 255."""

_RANKED = (None, *(severity.value for severity in reversed(Severity)))
"""Severities from no finding to the worst."""


@dataclass(frozen=True)
class Window:
    """The part of the map to show; both ranges are half open, None for all.

    Attributes:
      rows: positions in the map's own order of tensors.
      steps: training steps.
    """

    rows: tuple[int, int] | None = None
    steps: tuple[int, int] | None = None


def map_view(subject: Subject, window: Window, max_columns: int = MAX_COLUMNS) -> Json:
    """The map's cells in a window.

    ``over`` and ``under`` are base64 of uint8 [rows, columns]: bits + 1 from the largest magnitude to
    overflow, and from the largest magnitude down to the smallest normal number (where a tensor is
    about to vanish as a whole), 0 where unknown. ``marks`` are the union of the timeline's marks. Each
    row carries the severity of the worst finding about one of its tensors, null where there is none.
    """
    order = map_order(subject.ops)
    lo, hi = _clipped(window.rows, len(order))
    rows = _rows(subject.ops, order, lo, hi)
    columns = [c for c in subject.timeline.columns if _inside(c, window.steps)]
    buckets = bundled(columns, max(1, min(max_columns, MAX_COLUMNS)))
    starts = np.array([row.first - lo for row in rows], np.intp)
    cells = _cells(subject.session.table, order[lo:hi], buckets, starts)
    return {
        "run": subject.run.name,
        "session": subject.session.id,
        "total_rows": len(order),
        "rows_shown": [lo, hi],
        "rows": [
            _row_view(subject.ops, order, row) | {"severity": severity}
            for row, severity in zip(rows, _severities(subject, order[lo:hi], starts), strict=True)
        ],
        "columns": [[bucket[0].first_step, bucket[-1].last_step] for bucket in buckets],
        "over": packed(cells.over),
        "under": packed(cells.under),
        "marks": packed(cells.marks),
    }


def map_order(ops: OpIndex) -> NDArray[np.intp]:
    """Slots in the order of the map: groups by their first op, ops as they run; literals left out."""
    shown = [s for s, site in enumerate(ops.table) if site.role is not Role.CONSTANT and site.dtype in FORMATS]
    first: dict[str, int] = {}
    for slot in shown:
        first.setdefault(ops.groups[slot], slot)
    return np.array(sorted(shown, key=lambda s: (first[ops.groups[s]], s)), np.intp)


@dataclass(frozen=True)
class _Row:
    """Positions first to last - 1 of the map's order."""

    first: int
    last: int


def _rows(ops: OpIndex, order: NDArray[np.intp], lo: int, hi: int) -> list[_Row]:
    if hi - lo <= MAX_ROWS:
        return [_Row(i, i + 1) for i in range(lo, hi)]
    runs = [list(run) for _, run in groupby(range(lo, hi), key=lambda i: ops.groups[order[i]])]
    if len(runs) == 1:
        edges = np.linspace(lo, hi, MAX_ROWS + 1).astype(int)
        return [_Row(int(first), int(last)) for first, last in pairwise(edges)]
    bundle = -(-len(runs) // MAX_ROWS)
    bundles = (runs[i : i + bundle] for i in range(0, len(runs), bundle))
    return [_Row(some[0][0], some[-1][-1] + 1) for some in bundles]


def _row_view(ops: OpIndex, order: NDArray[np.intp], row: _Row) -> Json:
    slot = int(order[row.first])
    groups = list(dict.fromkeys(ops.groups[order[i]] for i in range(row.first, row.last)))
    out = {"first": row.first, "last": row.last, "group": groups[0], "groups": len(groups), "last_group": groups[-1]}
    return out | {"op": ops.ref(slot) if row.last - row.first == 1 else None}


def _severities(subject: Subject, slots: NDArray[np.intp], starts: NDArray[np.intp]) -> list[str | None]:
    """The worst finding in each row of tensors that begins at one of ``starts``."""
    if not len(starts):
        return []
    ranks = np.zeros(len(subject.session.table), np.uint8)
    for finding in subject.findings:
        ranks[finding.slot] = max(ranks[finding.slot], _RANKED.index(finding.severity.value))
    return [_RANKED[rank] for rank in np.maximum.reduceat(ranks[slots], starts)]


def _clipped(asked: tuple[int, int] | None, total: int) -> tuple[int, int]:
    if asked is None:
        return 0, total
    lo = min(max(asked[0], 0), max(total - 1, 0))
    return lo, min(max(asked[1], lo + 1), total)


def _inside(column: Column, steps: tuple[int, int] | None) -> bool:
    return steps is None or (column.last_step >= steps[0] and column.first_step < steps[1])


@dataclass(frozen=True)
class _Cells:
    """uint8 [rows, columns] each."""

    over: NDArray[np.uint8]
    under: NDArray[np.uint8]
    marks: NDArray[np.uint8]


def _cells(
    table: Sequence[OpSite],
    slots: NDArray[np.intp],
    buckets: Sequence[Sequence[Column]],
    starts: NDArray[np.intp],
) -> _Cells:
    formats = [FORMATS[table[slot].dtype] for slot in slots]
    top = np.array([f.max_exp for f in formats], np.int16)
    bottom = np.array([f.min_exp for f in formats], np.int16)
    shape = (len(starts), len(buckets))
    cells = _Cells(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
    if not len(slots):
        return cells
    for i, bucket in enumerate(buckets):
        parts = [column.at(slots) for column in bucket]
        exponents = np.stack([part.max_exp for part in parts])
        finite = exponents != ABSENT
        over = np.where(finite, top - exponents, _FAR).min(axis=0)
        under = np.where(finite, exponents - bottom, _FAR).min(axis=0)
        marks = np.bitwise_or.reduce([part.marks for part in parts])
        cells.over[:, i] = _packed_bits(np.minimum.reduceat(over, starts))
        cells.under[:, i] = _packed_bits(np.minimum.reduceat(under, starts))
        cells.marks[:, i] = np.bitwise_or.reduceat(marks, starts)
    return cells


def _packed_bits(bits: NDArray[np.int16]) -> NDArray[np.uint8]:
    return np.where(bits == _FAR, NO_BITS, np.clip(bits, 0, 254) + 1).astype(np.uint8)
