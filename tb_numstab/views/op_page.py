"""Everything about one op: its operands and result on one exponent axis, its history, its neighbours."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_numstab.analysis.finding import Severity
from tb_numstab.analysis.interactions import interactions
from tb_numstab.schema.formats import FORMATS, HISTOGRAM_BINS
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord
from tb_numstab.views.findings import finding_view
from tb_numstab.views.json_values import Json, packed
from tb_numstab.views.measure import FORMAT_VIEWS, measure_view
from tb_numstab.views.op_index import frame_view
from tb_numstab.views.outlook import outlook_view
from tb_numstab.views.precision import op_precision_view
from tb_numstab.views.subject import NotInData, Subject
from tb_numstab.views.timeline import ABSENT, MEASURED

MAX_NEIGHBOURS = 24
"""Inputs and consumers sent along; AddN and popular constants have thousands."""

MAX_HISTOGRAM_STEPS = 160
"""Columns of the histogram over steps; each costs decoding one record."""

MAX_HISTOGRAM_CELLS = 400_000
"""Slots decoded for one histogram over steps: large tables get fewer columns, never fewer than 24."""


def op_view(subject: Subject, key: str, asked_step: int | None = None) -> Json:
    """The page of one op at one step.

    Args:
      subject: the session.
      key: the op's key, see OpIndex.
      asked_step: the step to show. Where it was not measured, the nearest measured one before it
        stands in, and the answer says so. By default the step that the worst finding about this op
        tells of, else the last.

    Raises:
      NotInData: no such op, or no record yet.
    """
    slot = subject.ops.slot(key)
    if slot is None:
        raise NotInData(f'This session has no op "{key}".')
    if not subject.session.steps:
        raise NotInData("No step has been recorded yet.")
    step = shown_step(subject, _telling_step(subject, slot) if asked_step is None else asked_step)
    record = subject.session.record(step)
    site = subject.session.table[slot]
    consumers = np.unique(subject.graph.consumers(slot)).tolist()
    return {
        "run": subject.run.name,
        "session": subject.session.id,
        "step": step,
        "asked_step": step if asked_step is None else asked_step,
        "kind": record.kind,
        "op": _site_view(subject, slot),
        "result": _tensor_view(subject, record, slot),
        "inputs": [_input_view(subject, record, site, source) for source in site.inputs[:MAX_NEIGHBOURS]],
        "inputs_total": len(site.inputs),
        "consumers": [_tensor_view(subject, record, reader) for reader in consumers[:MAX_NEIGHBOURS]],
        "consumers_total": len(consumers),
        "formats": FORMAT_VIEWS,
        "trend": _trend_view(subject, slot),
        "outlook": outlook_view(subject, slot),
        "interaction": _interaction_view(subject, record, slot),
        "histogram": _histogram_view(subject, slot, step),
        "precision": op_precision_view(subject, slot),
        "findings": [finding_view(f, subject.ops) for f in subject.findings if f.slot == slot],
    }


def _site_view(subject: Subject, slot: int) -> Json:
    """The op reference with everything else the op table knows."""
    site = subject.session.table[slot]
    return subject.ops.ref(slot) | {
        "output": site.output,
        "graph": site.graph,
        "looped": site.looped,
        "shape": None if site.shape is None else list(site.shape),
        "trainable": site.trainable,
        "returned": site.returned,
        "frames": [frame_view(frame) for frame in site.frames],
        "gradient_of": subject.ops.ref(site.gradient_of) if site.gradient_of >= 0 else None,
    }


def shown_step(subject: Subject, asked: int) -> int:
    """The step asked for if it was measured, else the nearest measured one before it, else the first."""
    steps = subject.session.steps
    return steps[max(0, bisect_right(steps, asked) - 1)]


def _telling_step(subject: Subject, slot: int) -> int:
    """The step that the worst finding about a slot tells of, else the last one."""
    own = [f for f in subject.findings if f.slot == slot and f.severity is not Severity.INFO]
    return own[0].step if own else subject.session.steps[-1]


def _tensor_view(subject: Subject, record: StepRecord, slot: int) -> Json:
    site = subject.session.table[slot]
    return {"op": subject.ops.ref(slot), "measure": measure_view(record, slot, site)}


def _input_view(subject: Subject, record: StepRecord, site: OpSite, slot: int) -> Json:
    """One operand; an operand that is not floating point, or not watched, has no op to go to.

    What a loop carries round is known by the value that it starts with, which comes from outside of the loop.
    """
    if not 0 <= slot < len(subject.session.table):
        return {"op": None, "measure": None, "outside": False}
    outside = site.looped and not subject.session.table[slot].looped
    return _tensor_view(subject, record, slot) | {"outside": outside}


def _interaction_view(subject: Subject, record: StepRecord, slot: int) -> Json | None:
    """What the gap between the op's operands did to the result, where it is a wide one."""
    found = interactions(subject.graph, subject.graph.table(record))
    own = next((i for i in found if i.slot == slot), None)
    return None if own is None else {"effect": own.effect, "certainty": own.certainty.value, "text": own.text}


def _trend_view(subject: Subject, slot: int) -> Json:
    """Largest and smallest exponent over the steps, and what happened when."""
    columns = [c for c in subject.timeline.columns if slot < len(c.marks) and c.marks[slot] & MEASURED]

    def exponents(values: list[Any]) -> list[int | None]:
        return [None if v == ABSENT else int(v) for v in values]

    return {
        "steps": [c.last_step for c in columns],
        "max_exp": exponents([c.max_exp[slot] for c in columns]),
        "min_exp": exponents([c.min_exp[slot] for c in columns]),
        "marks": [int(c.marks[slot]) for c in columns],
    }


def _histogram_view(subject: Subject, slot: int, step: int) -> Json | None:
    """Exponent histograms of evenly spread records, the shown step among them."""
    fmt = FORMATS.get(subject.session.table[slot].dtype)
    if fmt is None:
        return None
    session = subject.session
    room = max(24, min(MAX_HISTOGRAM_STEPS, MAX_HISTOGRAM_CELLS // max(1, len(session.table))))
    spread = np.linspace(0, len(session.steps) - 1, min(room, len(session.steps))).round().astype(int)
    steps: list[int] = []
    rows: list[NDArray[np.uint8]] = []
    for index in sorted({*spread.tolist(), session.steps.index(step)}):
        measured = session.steps[index]
        if (row := session.histograms(measured).of(slot)) is not None:
            steps.append(measured)
            rows.append(row)
    table = np.array(rows, np.uint8).reshape(len(rows), HISTOGRAM_BINS)
    used = np.flatnonzero(table.any(axis=0))
    first, stop = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
    return {
        "steps": steps,
        "first_exp": fmt.min_subnormal_exp + first * fmt.bin_width,
        "bin_width": fmt.bin_width,
        "bins": stop - first,
        "shares": packed(table[:, first:stop]),
    }
