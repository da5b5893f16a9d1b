"""RunData through TensorBoard's data provider: whatever loader or server is behind it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorboard.context import RequestContext
from tensorboard.data.provider import DataProvider, RunTagFilter, TensorDatum, TensorTimeSeries

from tb_numstab.schema.names import PLUGIN_NAME, Tag, parse_tag
from tb_numstab.schema.record import decode_header
from tb_numstab.schema.table import RecordError
from tb_numstab.store.assemble import RunBuilder, Stored
from tb_numstab.store.run_data import RunData, RunSummary, SessionSummary

_DOWNSAMPLES = (2**31 - 1, 1000, 100)
"""Records asked for: all, then fewer when the answer does not fit the server's 256 MiB."""

_LAST = (1,)
"""Asks for one record; whatever TensorBoard samples away, it keeps the last one."""


class ProviderReader:
    """Reads runs and keeps them until told to forget: the same RunData object comes back until the run has new data.

    Thread-safe: who asks for a run waits while another thread reads that run, but for no other one.
    TensorBoard's own sampling happens before this, at ingestion.
    """

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._cache: dict[tuple[str, str], _CachedRun] = {}
        self._last_records: dict[tuple[str, str, str], _Last] = {}
        self._summing_up = threading.Lock()

    def run(self, context: RequestContext, experiment: str, name: str) -> RunData:
        """One run.

        Raises:
          KeyError: no such run, or it holds no tb-numstab data.
        """
        tags = self._list(context, experiment, name)[name]
        cached = self._cache.setdefault((experiment, name), _CachedRun(name))
        with cached.lock:
            return self._update(context, experiment, cached, tags)

    def version(self, context: RequestContext, experiment: str, name: str) -> object:
        """What changes with a run's data; reads none of it. Raises as ``run``."""
        return _versions(self._list(context, experiment, name)[name])

    def forget(self, experiment: str, name: str) -> None:
        """Keeps nothing of a run any longer; it is read again when it is asked for."""
        self._cache.pop((experiment, name), None)

    def summaries(self, context: RequestContext, experiment: str) -> list[RunSummary]:
        """Every run that holds tb-numstab data, by name; of a session only its last record is read."""
        listed = self._list(context, experiment, None)
        with self._summing_up:
            known = self._last_records.items()
            self._last_records = {key: last for key, last in known if key[0] != experiment or key[1] in listed}
            return [self._summary(context, experiment, name, listed[name]) for name in sorted(listed)]

    def _summary(self, context: RequestContext, experiment: str, name: str, tags: _Tags) -> RunSummary:
        cached = self._cache.get((experiment, name))
        if cached is not None and cached.versions == _versions(tags):
            return cached.data.summary()
        sessions: dict[str, SessionSummary] = {}
        problems: list[str] = []
        for tag in sorted(tags, key=_records_first):
            parsed = _parsed(tag)
            sessions.setdefault(parsed.session, SessionSummary(parsed.session))
            if parsed.chunk is None:
                last = self._last(context, experiment, name, tag, tags[tag])
                sessions[parsed.session] = last.summary or sessions[parsed.session]
                problems += last.problems
        return RunSummary(name, [sessions[session] for session in sorted(sessions)], problems)

    def _last(self, context: RequestContext, experiment: str, run: str, tag: str, series: TensorTimeSeries) -> _Last:
        """What a tag's last record tells."""
        key, version = (experiment, run, tag), (series.max_step, series.max_wall_time)
        known = self._last_records.get(key)
        if known is None or known.version != version:
            read = self._read(context, experiment, run, tag, _LAST)
            known = self._last_records[key] = _Last(version, None, read.problems)
            try:
                for event in read.events[-1:]:
                    header = decode_header(event.data)
                    written = header.records_before + 1
                    known.summary = SessionSummary(_parsed(tag).session, header.worker, written, None, header.step)
            except RecordError as error:
                known.problems = [f"The last record of session {_parsed(tag).session} could not be read: {error}."]
        return known

    def _list(self, context: RequestContext, experiment: str, name: str | None) -> dict[str, _Tags]:
        """Our tags of each run, with what tells whether they grew."""
        only = None if name is None else RunTagFilter(runs=[name])
        listed = self._provider.list_tensors(
            context, experiment_id=experiment, plugin_name=PLUGIN_NAME, run_tag_filter=only
        )
        runs = {run: {t: series for t, series in tags.items() if parse_tag(t)} for run, tags in listed.items()}
        return {run: tags for run, tags in runs.items() if tags}

    def _update(self, context: RequestContext, experiment: str, cached: _CachedRun, tags: _Tags) -> RunData:
        versions = _versions(tags)
        if cached.versions != versions:
            old = {t: read for t, read in cached.read.items() if versions.get(t) == cached.versions.get(t)}
            # Step records before op table chunks: a live run writes the chunks first, so the table
            # then covers every slot of the records.
            for tag in sorted(tags, key=_records_first):
                if tag not in old:
                    old[tag] = self._read(context, experiment, cached.name, tag, _DOWNSAMPLES)
            cached.read = old
            cached.data = cached.builder.build(
                {tag: old[tag].events for tag in sorted(old, key=_records_first)},
                [problem for read in old.values() for problem in read.problems],
            )
            # Last, because the list of runs compares them without waiting for the lock.
            cached.versions = versions
        return cached.data

    def _read(
        self, context: RequestContext, experiment: str, run: str, tag: str, downsamples: Sequence[int]
    ) -> _ReadTag:
        """One tag's events; tag by tag, because one bad tensor fails the whole request."""
        reason = ""
        for downsample in downsamples:
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
        self.lock = threading.Lock()
        self.builder = RunBuilder(self.name)
        self.data = RunData(self.name)


@dataclass
class _Last:
    version: tuple[Any, Any]
    summary: SessionSummary | None
    problems: list[str]


def _versions(tags: _Tags) -> dict[str, tuple[Any, Any]]:
    """What changes with a tag's data."""
    return {tag: (series.max_step, series.max_wall_time) for tag, series in tags.items()}


def _parsed(tag: str) -> Tag:
    parsed = parse_tag(tag)
    assert parsed is not None, "foreign tags were left out"
    return parsed


def _records_first(tag: str) -> tuple[bool, int]:
    """Sorts tags: the parts of the step records as they were written, then the op table."""
    parsed = _parsed(tag)
    return parsed.chunk is not None, parsed.part


def _events(tag: str, data: Sequence[TensorDatum]) -> _ReadTag:
    read = _ReadTag()
    for datum in data:
        value = datum.numpy
        if value.dtype == object and value.size == 1 and isinstance(value.item(), bytes):
            read.events.append(Stored(datum.wall_time, value.item()))
        elif not read.problems:
            read.problems.append(f"An event under {tag} is not a single string: ignored.")
    return read
