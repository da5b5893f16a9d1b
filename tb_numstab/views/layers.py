"""Layer by layer: activations, gradients, weights and updates on one exponent axis over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.formats import FORMATS
from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.views.json_values import Json
from tb_numstab.views.measure import FORMAT_VIEWS
from tb_numstab.views.subject import Subject
from tb_numstab.views.timeline import ABSENT, INF, NAN, Column, bundled, merged

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
    members = [slots for name in shown for slots in layers[name].values()]
    points = _points(subject.timeline.columns, np.array(list(chain.from_iterable(members)), np.intp))
    ends = np.cumsum([len(slots) for slots in members]).tolist()
    kinds = iter(
        _kind_view(subject.session.table, slots, points, end - len(slots))
        for slots, end in zip(members, ends, strict=True)
    )
    return {
        "run": subject.run.name,
        "session": subject.session.id,
        "total": len(names),
        "first": max(0, first),
        "steps": points.steps,
        "formats": FORMAT_VIEWS,
        "layers": [
            {"name": name, "kinds": {kind: view for kind, view in zip(layers[name], kinds, strict=False) if view}}
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


@dataclass(frozen=True)
class _Points:
    """The curves of some slots: int16, int16 and uint8 [points, slots], and the last step of each point."""

    steps: list[int]
    max_exp: NDArray[np.int16]
    min_exp: NDArray[np.int16]
    marks: NDArray[np.uint8]


def _points(columns: Sequence[Column], slots: NDArray[np.intp]) -> _Points:
    """At most MAX_POINTS of them."""
    merged_columns = [merged([column.at(slots) for column in some]) for some in bundled(columns, MAX_POINTS)]
    shape = (len(merged_columns), len(slots))
    return _Points(
        [column.last_step for column in merged_columns],
        np.array([column.max_exp for column in merged_columns], np.int16).reshape(shape),
        np.array([column.min_exp for column in merged_columns], np.int16).reshape(shape),
        np.array([column.marks for column in merged_columns], np.uint8).reshape(shape),
    )


def _kind_view(table: Sequence[OpSite], slots: Sequence[int], points: _Points, start: int) -> Json | None:
    """One kind of a layer, whose slots come at ``start`` in the points; None where there are none."""
    if not slots:
        return None
    own = slice(start, start + len(slots))
    largest = [None if top == ABSENT else top for top in points.max_exp[:, own].max(axis=1).tolist()]
    lows = points.min_exp[:, own]
    lows = lows[lows != ABSENT]
    bad = np.bitwise_or.reduce(points.marks[:, own], axis=1) & (NAN | INF)
    return {
        "tensors": len(slots),
        "dtypes": sorted({table[slot].dtype for slot in slots}),
        "max_exp": largest,
        "nonfinite": (bad > 0).tolist(),
        "highest": max((top for top in largest if top is not None), default=None),
        "lowest": int(lows.min()) if lows.size else None,
    }
