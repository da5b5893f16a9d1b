"""What a report carries: the answers its pages will ask for, by the key the frontend files them under."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from urllib.parse import quote

from tb_numstab.report.archive import Archive
from tb_numstab.store.run_data import RunData
from tb_numstab.views.compare import compare_view
from tb_numstab.views.health_map import Window, map_view
from tb_numstab.views.interactions import MAX_INTERACTIONS, interactions_view
from tb_numstab.views.json_values import Json
from tb_numstab.views.layers import MAX_LAYERS, layers_view
from tb_numstab.views.op_page import MAX_HISTOGRAM_CELLS, op_view
from tb_numstab.views.overview import overview_view, runs_view, verdict_only_view
from tb_numstab.views.precision import precision_view
from tb_numstab.views.subject import Subject, Subjects

MAX_BYTES = 2_500_000
"""All answers together, packed; with the bundle a report stays below 3 MB."""

MAX_CELLS = 20_000_000
"""Slots x records decoded for what no finding names, such as histograms of op pages: about ten seconds."""

CELLS_OF_A_SLOT = 20
"""As many cells are decoded in the time that a page of layers needs for each slot."""

Progress = Callable[[str, int, int], None]
"""Called with (what is next, parts done, parts in all)."""


def answers(runs: Sequence[RunData], progress: Progress | None = None) -> Archive:
    """JSON texts by route key, of the latest session of each run that holds a record.

    Every page of a run is there, and that of every op which a finding names. Pages of other ops and
    comparisons are there as far as they fit.

    Args:
      runs: runs with at least one record.
      progress: told about each part.
    """
    progress = progress or (lambda what, done, total: None)
    subjects, known = [], Subjects()
    for done, run in enumerate(runs):
        progress(run.name, done, len(runs))
        subjects.append(known.get(run, run.measured[-1].id))
    held, cells = Archive(), 0
    held.add("runs", _dumps(runs_view([run.summary() for run in runs])))
    for answer in chain.from_iterable(map(_always, subjects)):
        if answer.key not in held.texts:
            held.add(answer.key, _dumps(answer.view()))
    candidates = list(_as_it_fits(subjects))
    for index, answer in enumerate(candidates):
        if held.size > MAX_BYTES or cells > MAX_CELLS:
            break
        if answer.key not in held.texts:
            share = max(held.size / MAX_BYTES, cells / MAX_CELLS, index / len(candidates))
            progress(answer.key, int(100 * share), 100)
            held.add(answer.key, _dumps(answer.view()))
            cells += answer.cells
    return held


def route_key(path: str, **params: str | int) -> str:
    """The key of frontend/src/source.ts: parameters by name, values as encodeURIComponent writes them."""
    # A folder's name need not be UTF-8; JavaScript's encodeURIComponent cannot write what is not.
    values = {name: str(value).encode("utf-8", "replace") for name, value in sorted(params.items())}
    query = "&".join(f"{name}={quote(value, safe='!*()' + chr(39))}" for name, value in values.items())
    return f"{path}?{query}"


@dataclass(frozen=True)
class _Answer:
    """An answer not made yet: its key, how to make it, and about how many cells that decodes."""

    key: str
    view: Callable[[], Json]
    cells: int = 0


def _always(subject: Subject) -> Iterator[_Answer]:
    run = subject.run.name
    yield _Answer(route_key("overview", run=run), partial(overview_view, subject))
    yield _Answer(route_key("verdict", run=run), partial(verdict_only_view, subject))
    yield _Answer(route_key("map", run=run), partial(map_view, subject, Window()))
    yield _Answer(route_key("interactions", run=run), partial(interactions_view, subject))
    yield _Answer(route_key("layers", run=run), partial(layers_view, subject))
    yield _Answer(route_key("precision", run=run), partial(precision_view, subject))
    for finding in subject.findings:
        for slot, step in [(finding.slot, finding.step), *((hop.slot, hop.step) for hop in finding.why)]:
            yield _op_answer(subject, slot)
            yield _op_answer(subject, slot, step)


def _as_it_fits(subjects: Sequence[Subject]) -> Iterator[_Answer]:
    """What is most likely looked at first."""
    for subject in subjects:
        for finding in subject.findings:
            for slot in (*finding.site.inputs, *subject.graph.consumers(finding.slot).tolist()):
                if slot >= 0:
                    yield _op_answer(subject, slot)
    for subject in subjects:
        yield from _more_layers(subject)
        yield from _more_interactions(subject)
        yield from (_comparison(subject, other) for other in subjects if other is not subject)
    for subject in subjects:
        yield from (_op_answer(subject, slot) for slot in range(len(subject.session.table)))


def _op_answer(subject: Subject, slot: int, step: int | None = None) -> _Answer:
    """The page of an op, at its own choice of step where none is given."""
    key = subject.ops.keys[slot]
    params: dict[str, str | int] = {"run": subject.run.name, "op": key}
    if step is not None:
        params["step"] = step
    cells = min(len(subject.session.table) * len(subject.session.steps), MAX_HISTOGRAM_CELLS)
    return _Answer(route_key("op", **params), partial(op_view, subject, key, step), cells)


def _more_layers(subject: Subject) -> Iterator[_Answer]:
    total = layers_view(subject)["total"]
    for first in range(MAX_LAYERS, total, MAX_LAYERS):
        key = route_key("layers", run=subject.run.name, first=first)
        yield _Answer(key, partial(layers_view, subject, first), CELLS_OF_A_SLOT * len(subject.session.table))


def _more_interactions(subject: Subject) -> Iterator[_Answer]:
    total = interactions_view(subject)["total"]
    for first in range(MAX_INTERACTIONS, total, MAX_INTERACTIONS):
        key = route_key("interactions", run=subject.run.name, first=first)
        yield _Answer(key, partial(interactions_view, subject, first=first))


def _comparison(subject: Subject, other: Subject) -> _Answer:
    key = route_key("compare", run=subject.run.name, against=other.run.name)
    return _Answer(key, partial(compare_view, subject, other))


def _dumps(answer: Json) -> str:
    return json.dumps(answer, separators=(",", ":"), allow_nan=False)
