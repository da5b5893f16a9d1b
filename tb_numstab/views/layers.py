"""Layer by layer: activations, gradients, weights and updates on one exponent axis over the steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tb_numstab.schema.formats import FORMATS
from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.views.json_values import Json
from tb_numstab.views.measure import FORMAT_VIEWS
from tb_numstab.views.subject import Subject
from tb_numstab.views.timeline import ABSENT, INF, NAN, Column

MAX_LAYERS = 24
"""Layers of one page."""

MAX_POINTS = 200
"""Points of a curve; in longer runs a point is the largest of several steps."""

_SUBTRACTED = ("AssignSubVariableOp", "AssignAddVariableOp")

KINDS = ("activations", "gradients", "weights", "updates")


def layers_view(subject: Subject, first: int = 0) -> Json:
    """Up to MAX_LAYERS layers from ``first`` on, in the order they run.

    Each kind of a layer has the largest exponent of all its tensors at each point, null where there
    is none, whether any was NaN or Inf, and the extremes over the whole session with the formats they
    were in.
    """
    layers = _layers(subject)
    names = list(layers)
    shown = names[max(0, first) : max(0, first) + MAX_LAYERS]
    columns = subject.timeline.columns
    edges = np.linspace(0, len(columns), min(MAX_POINTS, len(columns)) + 1).astype(int)
    points = [columns[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    return {
        "run": subject.run.name,
        "session": subject.session.id,
        "total": len(names),
        "first": max(0, first),
        "steps": [point[-1].last_step for point in points],
        "formats": FORMAT_VIEWS,
        "layers": [
            {
                "name": name,
                "kinds": {k: _kind_view(subject.session.table, s, points) for k, s in layers[name].items() if s},
            }
            for name in shown
        ],
    }


def _layers(subject: Subject) -> dict[str, dict[str, list[int]]]:
    """Slots by layer and kind; a trained variable belongs to the layer it is named after."""
    out: dict[str, dict[str, list[int]]] = {}
    for slot, site in enumerate(subject.session.table):
        kind = _kind(site)
        if kind is None or site.dtype not in FORMATS:
            continue
        layer = subject.ops.groups[slot]
        members = out.setdefault(layer, {k: [] for k in KINDS})
        if kind != "updates":
            members[kind].append(slot)
        elif len(site.inputs) > 1 and site.inputs[1] >= 0:
            members[kind].append(site.inputs[1])
    return {layer: kinds for layer, kinds in out.items() if any(kinds.values())}


def _kind(site: OpSite) -> str | None:
    if site.role is Role.UPDATE and site.trainable:
        return "updates" if site.op_type in _SUBTRACTED else None
    if site.role is Role.VARIABLE and site.trainable:
        return "weights"
    if not site.layer:
        return None
    return {Role.FORWARD: "activations", Role.GRADIENT: "gradients"}.get(site.role)


def _kind_view(table: Sequence[OpSite], slots: Sequence[int], points: Sequence[Sequence[Column]]) -> Json:
    index = np.array(slots, np.intp)
    largest: list[int | None] = []
    smallest = -ABSENT
    bad: list[bool] = []
    for point in points:
        top, marks = ABSENT, 0
        for column in point:
            known = index[index < len(column.marks)]
            if known.size:
                top = max(top, int(column.max_exp[known].max()))
                lows = column.min_exp[known]
                smallest = min([smallest, *lows[lows != ABSENT].tolist()])
                marks |= int(np.bitwise_or.reduce(column.marks[known]))
        largest.append(None if top == ABSENT else top)
        bad.append(bool(marks & (NAN | INF)))
    finite = [e for e in largest if e is not None]
    return {
        "tensors": len(slots),
        "dtypes": sorted({table[slot].dtype for slot in slots}),
        "max_exp": largest,
        "nonfinite": bad,
        "highest": max(finite) if finite else None,
        "lowest": None if smallest == -ABSENT else smallest,
    }
