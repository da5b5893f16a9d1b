"""RunData from the event files of a log folder, without TensorBoard's server and without TensorFlow."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from tb_numstab.schema.names import PLUGIN_NAME, parse_tag
from tb_numstab.store.assemble import RunBuilder, Stored
from tb_numstab.store.remote import RemoteFile, is_remote, walk
from tb_numstab.store.run_data import RunData
from tb_numstab.store.tfrecord import FramingError, StoredRecord, find_record, read_records

MAX_GAPS = 100
"""Damaged places of a file behind which its records are looked for; to look costs time."""

Progress = Callable[[str, int, int], None]
"""Called with (file name, files done, files in all) before each file."""


def read_runs(logdir: str, run: str | None = None, progress: Progress | None = None) -> list[RunData]:
    """Reads a log folder once; see LogFolder."""
    return LogFolder(logdir, run).read(progress)


class LogFolder:
    """The runs under a folder; read again, it takes in only what was written since.

    Args:
      logdir: a run's folder or any folder above; runs get the names TensorBoard gives them.
      run: the only run to read.
    """

    def __init__(self, logdir: str, run: str | None = None) -> None:
        self._logdir, self._run = logdir, run
        self._series: dict[str, _Series] = {}
        self._builders: dict[str, RunBuilder] = {}

    def read(self, progress: Progress | None = None) -> list[RunData]:
        """Every run that holds tb-numstab data or could not be read, by name.

        Args:
          progress: told about each file.

        Raises:
          FileNotFoundError: no such folder.
          NotADirectoryError: it is a file.
          OSError: it cannot be read.
        """
        closed: list[OSError] = []
        folders = {name: files for name, files in _event_files(self._logdir, closed) if self._run in (None, name)}
        total, done = sum(len(files) for files in folders.values()), 0
        runs = [run for run in _closed_runs(self._logdir, closed) if self._run in (None, run.name)]
        for name in sorted(folders):
            series = self._series.setdefault(name, _Series())
            for path in folders[name]:
                if progress is not None:
                    progress(os.path.basename(path), done, total)
                series.read(path)
                done += 1
            builder = self._builders.setdefault(name, RunBuilder(name))
            run = builder.build(series.events, series.problems)
            if run.sessions or run.problems:
                runs.append(run)
        return runs


@dataclass
class _Series:
    """The tb-numstab events of one run's files, by tag.

    Attributes:
      events: in the order of the files and of what they hold.
      unreadable: what is wrong with each file, by path.
      foreign: tags under our name that hold something else.
    """

    events: dict[str, list[Stored]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    _owners: dict[str, str] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)
    _damaged: Counter[str] = field(default_factory=Counter)
    _gaps: dict[str, list[int]] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """One sentence for each thing that could not be read."""
        foreign = (f"An event under {tag} is not a single string: ignored." for tag in sorted(self.foreign))
        return [*self.unreadable.values(), *foreign]

    def read(self, path: str) -> None:
        """Adds what an event file holds beyond what was read of it before."""
        self.unreadable.pop(path, None)
        try:
            while (damage := self._add_records(path)) is not None and self._skip(path, damage):
                pass
        except OSError as error:
            self.unreadable[path] = f"{os.path.basename(path)} could not be read: {error.strerror or error}."
            return
        if lost := _lost(self._damaged[path], self._gaps.get(path, []), damage):
            self.unreadable[path] = f"{os.path.basename(path)} is damaged: {lost} could not be read."

    def _add_records(self, path: str) -> int | None:
        """Adds the records that follow; returns where the file is damaged, None at its end."""
        start = self._ends.get(path, 0)
        try:
            with _open(path, start) as file:
                for record in read_records(file, start):
                    self._damaged[path] += not self._add(record)
                    self._ends[path] = record.end
        except FramingError:
            return self._ends.get(path, 0)
        return None

    def _skip(self, path: str, damage: int) -> bool:
        """Goes on behind a damaged place: a disk that was full for a while leaves one, with good records behind it."""
        gaps = self._gaps.setdefault(path, [])
        if len(gaps) == MAX_GAPS:
            return False
        with _open(path, damage + 1) as file:
            found = find_record(file, damage + 1)
        if found is None:
            return False
        gaps.append(found - damage)
        self._ends[path] = found
        return True

    def _add(self, record: StoredRecord) -> bool:
        """Keeps an event if it is ours; False if it is damaged."""
        try:
            event = event_pb2.Event.FromString(record.data)
        except DecodeError:
            return False
        ours = [value for value in event.summary.value if self._is_ours(value)]
        if ours and not record.is_intact():
            return False
        for value in ours:
            tensor = value.tensor
            if tensor.dtype == types_pb2.DT_STRING and len(tensor.string_val) == 1:
                self.events.setdefault(value.tag, []).append(Stored(event.wall_time, tensor.string_val[0]))
            else:
                self.foreign.add(value.tag)
        return True

    def _is_ours(self, value: summary_pb2.Summary.Value) -> bool:
        """Whether a value is tb-numstab's; as in TensorBoard, a tag belongs to its first event's plugin."""
        owner = self._owners.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
        return owner == PLUGIN_NAME and parse_tag(value.tag) is not None


def _lost(events: int, gaps: Sequence[int], damage: int | None) -> str:
    """What of a damaged file is not there; "" if nothing."""
    parts = [f"{events} event{'s' * (events > 1)}"] if events else []
    if gaps:
        parts.append(f"{sum(gaps):,} bytes in {len(gaps)} place{'s' * (len(gaps) > 1)}")
    if damage is not None:
        parts.append(f"everything from byte {damage} on")
    return " and ".join(parts)


def _closed_runs(logdir: str, errors: Sequence[OSError]) -> Iterator[RunData]:
    """What there is of folders that could not be read.

    Raises:
      OSError: one is the log folder itself.
    """
    for error in errors:
        name = os.path.relpath(error.filename, logdir)
        if name == ".":
            raise error
        yield RunData(name, problems=[f"The folder could not be read: {error.strerror or error}."])


def _event_files(logdir: str, closed: list[OSError]) -> Iterator[tuple[str, list[str]]]:
    """(run name, event files by name) for each folder that TensorBoard takes for a run.

    Args:
      logdir: where to look.
      closed: takes in why a folder could not be read.
    """
    for folder, names in _walk(logdir, closed):
        events = sorted(n for n in names if "tfevents" in n)
        if events:
            name = os.path.relpath(folder, logdir)
            yield name, [os.path.join(folder, n) for n in events]


def _walk(logdir: str, closed: list[OSError]) -> Iterator[tuple[str, list[str]]]:
    """(folder, file names) for logdir and every folder below it."""
    if is_remote(logdir):
        yield from walk(logdir)
        return
    if not os.path.isdir(logdir):
        if os.path.exists(logdir):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder of event files", logdir)
        raise FileNotFoundError(errno.ENOENT, "no such folder", logdir)
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(logdir, onerror=closed.append, followlinks=True):
        # TensorBoard follows links; a link to a folder above must not lead round for ever.
        if (real := os.path.realpath(folder)) in seen:
            subfolders.clear()
            continue
        seen.add(real)
        yield folder, names


def _open(path: str, position: int) -> BinaryIO | RemoteFile:
    if is_remote(path):
        return RemoteFile(path, position)
    file = open(path, "rb")
    file.seek(position)
    return file
