"""RunData through TensorBoard's data provider: whatever loader or server is behind it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorboard.context import RequestContext
from tensorboard.data.provider import DataProvider, RunTagFilter, TensorDatum, TensorTimeSeries

from tb_numstab.schema.names import PLUGIN_NAME, parse_tag
from tb_numstab.store.assemble import RunBuilder, Stored
from tb_numstab.store.run_data import RunData

MAX_CACHED_RUNS = 64
"""Runs kept in memory; a log folder with more is read again when they are asked for."""

_DOWNSAMPLES = (2**31 - 1, 1000, 100)
"""Records asked for: all, then fewer when the answer does not fit the server's 256 MiB."""


class ProviderReader:
    """Reads runs and keeps them: the same RunData object comes back until the run has new data.

    Thread-safe. TensorBoard's own sampling happens before this, at ingestion.
    """

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, str], _CachedRun] = OrderedDict()

    def run_names(self, context: RequestContext, experiment: str) -> list[str]:
        """Names of the runs that hold tb-numstab data."""
        return sorted(self._list(context, experiment, None))

    def run(self, context: RequestContext, experiment: str, name: str) -> RunData:
        """One run.

        Raises:
          KeyError: no such run, or it holds no tb-numstab data.
        """
        tags = self._list(context, experiment, name)[name]
        with self._lock:
            return self._update(context, experiment, name, tags)

    def runs(self, context: RequestContext, experiment: str) -> list[RunData]:
        """Every run that holds tb-numstab data, by name."""
        listed = self._list(context, experiment, None)
        with self._lock:
            return [self._update(context, experiment, name, listed[name]) for name in sorted(listed)]

    def _list(self, context: RequestContext, experiment: str, name: str | None) -> dict[str, _Tags]:
        """Our tags of each run, with what tells whether they grew."""
        only = None if name is None else RunTagFilter(runs=[name])
        listed = self._provider.list_tensors(
            context, experiment_id=experiment, plugin_name=PLUGIN_NAME, run_tag_filter=only
        )
        runs = {run: {t: series for t, series in tags.items() if parse_tag(t)} for run, tags in listed.items()}
        return {run: tags for run, tags in runs.items() if tags}

    def _update(self, context: RequestContext, experiment: str, name: str, tags: _Tags) -> RunData:
        cached = self._cache.setdefault((experiment, name), _CachedRun(name))
        self._cache.move_to_end((experiment, name))
        while len(self._cache) > MAX_CACHED_RUNS:
            self._cache.popitem(last=False)
        versions = {tag: (series.max_step, series.max_wall_time) for tag, series in tags.items()}
        if cached.versions != versions:
            old = {t: read for t, read in cached.read.items() if versions.get(t) == cached.versions.get(t)}
            # Step records before op table chunks: a live run writes the chunks first, so the table
            # then covers every slot of the records.
            for tag in sorted(tags, key=lambda t: t.rsplit("/", 1)[1] != "steps"):
                if tag not in old:
                    old[tag] = self._read(context, experiment, name, tag)
            cached.read, cached.versions = old, versions
            cached.data = cached.builder.build(
                {tag: read.events for tag, read in old.items()},
                [problem for read in old.values() for problem in read.problems],
            )
        return cached.data

    def _read(self, context: RequestContext, experiment: str, run: str, tag: str) -> _ReadTag:
        """One tag's events; tag by tag, because one bad tensor fails the whole request."""
        reason = ""
        for downsample in _DOWNSAMPLES:
            try:
                answer = self._provider.read_tensors(
                    context,
                    experiment_id=experiment,
                    plugin_name=PLUGIN_NAME,
                    downsample=downsample,
                    run_tag_filter=RunTagFilter(runs=[run], tags=[tag]),
                )
            # Whatever a tensor or server can raise (TypeError, grpc.RpcError, ...) costs this tag only.
            except Exception as error:  # noqa: BLE001
                reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                continue
            return _events(tag, answer.get(run, {}).get(tag, ()))
        return _ReadTag(problems=[f"{tag} could not be read: {reason}."])


_Tags = Mapping[str, TensorTimeSeries]


@dataclass
class _ReadTag:
    events: list[Stored] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class _CachedRun:
    name: str
    versions: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    read: dict[str, _ReadTag] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builder = RunBuilder(self.name)
        self.data = RunData(self.name)


def _events(tag: str, data: Sequence[TensorDatum]) -> _ReadTag:
    read = _ReadTag()
    for datum in data:
        value = datum.numpy
        if value.dtype == object and value.size == 1 and isinstance(value.item(), bytes):
            read.events.append(Stored(datum.wall_time, value.item()))
        elif not read.problems:
            read.problems.append(f"An event under {tag} is not a single string: ignored.")
    return read
