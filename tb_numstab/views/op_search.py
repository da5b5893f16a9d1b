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
    return {"total": len(found), "ops": [subject.ops.ref(slot) for slot in found[:MAX_FOUND]]}


def _text(site: OpSite) -> str:
    source = "" if site.source is None else f"{site.source} {site.source.text}"
    return f"{site.op_type} {site.name} {site.layer} {site.variable} {source}".lower()
