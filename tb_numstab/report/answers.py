"""What a report carries: the answers its pages will ask for, by the key the frontend files them under."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from tb_numstab.store.run_data import RunData
from tb_numstab.views.json_values import Json
from tb_numstab.views.op_page import MAX_HISTOGRAM_CELLS, op_view
from tb_numstab.views.overview import overview_view, runs_view, verdict_only_view
from tb_numstab.views.subject import Subject, Subjects

MAX_BYTES = 2_400_000
"""JSON of all answers together; with the bundle a report stays below 3 MB."""

MAX_CELLS = 20_000_000
"""Slots x records decoded for the histograms of op pages that no finding names: about ten seconds."""

Progress = Callable[[str, int, int], None]
"""Called with (what is next, parts done, parts in all)."""

_Page = tuple[int, int | None]
"""A slot, and a step or None for the page's own choice."""


def answers(runs: Sequence[RunData], progress: Progress | None = None) -> dict[str, str]:
    """JSON texts by route key.

    The pages of every op that a finding names are always there; of the others as many as fit,
    neighbours of findings first, then in the order of the op table.

    Args:
      runs: runs with at least one session.
      progress: told about each page.
    """
    progress = progress or (lambda what, done, total: None)
    subjects, known = [], Subjects()
    held = {"runs": _dumps(runs_view(runs))}
    for done, run in enumerate(runs):
        progress(run.name, done, len(runs))
        subject = known.get(run)
        subjects.append(subject)
        held[route_key("overview", run=run.name)] = _dumps(overview_view(subject))
        held[route_key("verdict", run=run.name)] = _dumps(verdict_only_view(subject))
        for page in _named_pages(subject):
            _add_page(held, subject, page)
    size, cells = sum(map(len, held.values())), 0
    optional = [
        *((s, page) for s in subjects for page in _neighbour_pages(s)),
        *((s, page) for s in subjects for page in _all_pages(s)),
    ]
    for done, (subject, page) in enumerate(optional):
        if size > MAX_BYTES or cells > MAX_CELLS:
            break
        share = max(size / MAX_BYTES, cells / MAX_CELLS, done / len(optional))
        progress(subject.ops.keys[page[0]], int(100 * share), 100)
        size += _add_page(held, subject, page)
        cells += min(len(subject.session.table) * len(subject.session.steps), MAX_HISTOGRAM_CELLS)
    return held


def route_key(path: str, **params: str | int) -> str:
    """The key of frontend/src/source.ts: parameters by name, values as encodeURIComponent writes them."""
    query = "&".join(f"{name}={quote(str(value), safe='!*()' + chr(39))}" for name, value in sorted(params.items()))
    return f"{path}?{query}"


def _add_page(held: dict[str, str], subject: Subject, page: _Page) -> int:
    """Adds one op page and returns its size in bytes; one that is there already costs nothing."""
    slot, step = page
    key = subject.ops.keys[slot]
    params: dict[str, str | int] = {"run": subject.run.name, "op": key}
    route = route_key("op", **params) if step is None else route_key("op", **params, step=step)
    if route in held:
        return 0
    held[route] = _dumps(op_view(subject, key, step))
    return len(held[route])


def _named_pages(subject: Subject) -> Iterator[_Page]:
    for finding in subject.findings:
        yield finding.slot, None
        yield finding.slot, finding.first_step
        for hop in finding.why:
            yield hop.slot, None
            yield hop.slot, hop.step


def _neighbour_pages(subject: Subject) -> Iterator[_Page]:
    for finding in subject.findings:
        for slot in (*finding.site.inputs, *subject.ops.consumers[finding.slot]):
            if slot >= 0:
                yield slot, None


def _all_pages(subject: Subject) -> Iterator[_Page]:
    return ((slot, None) for slot in range(len(subject.session.table)))


def _dumps(answer: Json) -> str:
    return json.dumps(answer, separators=(",", ":"), allow_nan=False)
