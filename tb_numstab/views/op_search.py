"""Finding an op by what one remembers of it."""

from __future__ import annotations

from tb_numstab.schema.ops import OpSite
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import Subject

MAX_FOUND = 40


def ops_view(subject: Subject, query: str) -> Json:
    """Ops whose type, name, layer, variable or source line hold every word of the query.

    In a file named softmax.py every op is found by "softmax", and on a line with logits by "log": ops of that
    type come first, then those whose names say it, then those whose line does.
    """
    words = query.lower().split()
    table = subject.session.table
    found = [slot for slot, site in enumerate(table) if _holds(_texts(site)[-1], words)]
    found.sort(key=lambda slot: _distance(table[slot], words))
    return {"total": len(found), "ops": [subject.ops.ref(slot) for slot in found[:MAX_FOUND]]}


def _distance(site: OpSite, words: list[str]) -> tuple[int, bool]:
    """How much of an op's texts it takes to hold the words; of ops alike in that, one of a type named is nearer."""
    held = [_holds(text, words) for text in _texts(site)]
    return held.index(True), site.op_type.lower() not in words


def _holds(text: str, words: list[str]) -> bool:
    return all(word in text for word in words)


def _texts(site: OpSite) -> list[str]:
    """What an op can be found by, from its names on; each text holds the one before."""
    names = f"{site.op_type} {site.name} {site.layer} {site.variable}".lower()
    if site.source is None:
        return [names]
    line = f"{names} {site.source.function} {site.source.text}".lower()
    return [names, line, f"{line} {site.source}".lower()]
