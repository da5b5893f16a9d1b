"""Finding an op by what one remembers of it."""

from __future__ import annotations

from tb_numstab.schema.ops import OpSite
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import Subject

MAX_FOUND = 40


def ops_view(subject: Subject, query: str) -> Json:
    """Ops whose type, name, layer, variable or source line hold every word of the query."""
    words = query.lower().split()
    found = [s for s, site in enumerate(subject.session.table) if all(word in _text(site) for word in words)]
    # In a file named softmax.py every op is found by "softmax": those that say it themselves come first.
    found.sort(key=lambda slot: not all(word in _own_text(subject.session.table[slot]) for word in words))
    return {"total": len(found), "ops": [subject.ops.ref(slot) for slot in found[:MAX_FOUND]]}


def _text(site: OpSite) -> str:
    return f"{_own_text(site)} {site.source or ''}".lower()


def _own_text(site: OpSite) -> str:
    line = "" if site.source is None else f"{site.source.function} {site.source.text}"
    return f"{site.op_type} {site.name} {site.layer} {site.variable} {line}".lower()
