"""RunData from the event files of a log folder, without TensorBoard's server and without TensorFlow.

Local folders are read directly; ``scheme://`` paths through the file systems TensorBoard itself
brings (S3 with boto3, others with fsspec).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from tb_numstab.schema.names import PLUGIN_NAME, parse_tag
from tb_numstab.store.assemble import RunBuilder, Stored
from tb_numstab.store.run_data import RunData
from tb_numstab.store.tfrecord import FramingError, intact, read_records

Progress = Callable[[str, int, int], None]
"""Called with (file name, files done, files in all) before each file."""


def read_runs(logdir: str, run: str | None = None, progress: Progress | None = None) -> list[RunData]:
    """Every run under a log folder that holds tb-numstab data or could not be read, by name.

    Args:
      logdir: a run's folder or any folder above; runs get the names TensorBoard gives them.
      run: the only run to read.
      progress: told about each file.

    Raises:
      FileNotFoundError: no such folder.
      NotADirectoryError: logdir is a file.
    """
    folders = {name: files for name, files in _event_files(logdir) if run is None or name == run}
    total, done = sum(len(files) for files in folders.values()), 0
    runs = []
    for name in sorted(folders):
        series = _Series()
        for path in folders[name]:
            if progress is not None:
                progress(os.path.basename(path), done, total)
            series.read(path)
            done += 1
        data = RunBuilder(name).build(series.events, series.problems)
        if data.sessions or data.problems:
            runs.append(data)
    return runs


@dataclass
class _Series:
    """The tb-numstab events of one run's files, by tag."""

    events: dict[str, list[Stored]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _owners: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> None:
        """Adds one event file; what it cannot read becomes a problem."""
        name = os.path.basename(path)
        try:
            with _open(path) as file:
                damaged = sum(not self._add(*record) for record in read_records(file))
        except FramingError as error:
            self.problems.append(f"{name} is {error}: the rest of the file could not be read.")
        except OSError as error:
            self.problems.append(f"{name} could not be read: {error.strerror or error}.")
        else:
            if damaged:
                events = "a damaged event, which was" if damaged == 1 else f"{damaged} damaged events, which were"
                self.problems.append(f"{name} holds {events} skipped.")

    def _add(self, data: bytes, checksum: int) -> bool:
        """Keeps an event if it is ours; False if it is damaged."""
        try:
            event = event_pb2.Event.FromString(data)
        except DecodeError:
            return False
        ours = [value for value in event.summary.value if self._is_ours(value)]
        if ours and not intact(data, checksum):
            return False
        for value in ours:
            tensor = value.tensor
            if tensor.dtype == types_pb2.DT_STRING and len(tensor.string_val) == 1:
                self.events.setdefault(value.tag, []).append(Stored(event.wall_time, tensor.string_val[0]))
            else:
                self.problems.append(f"An event under {value.tag} is not a single string: ignored.")
        return True

    def _is_ours(self, value: summary_pb2.Summary.Value) -> bool:
        """Whether a value is tb-numstab's; as in TensorBoard, a tag belongs to its first event's plugin."""
        owner = self._owners.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
        return owner == PLUGIN_NAME and parse_tag(value.tag) is not None


def _event_files(logdir: str) -> Iterator[tuple[str, list[str]]]:
    """(run name, event files by name) for each folder that TensorBoard takes for a run."""
    for folder, names in _walk(logdir):
        events = sorted(n for n in names if "tfevents" in n)
        if events:
            name = os.path.relpath(folder, logdir)
            yield name, [os.path.join(folder, n) for n in events]


def _walk(logdir: str) -> Iterator[tuple[str, list[str]]]:
    """(folder, file names) for logdir and every folder below it."""
    if "://" in logdir:
        from tensorboard.compat.tensorflow_stub.io import gfile

        if not gfile.isdir(logdir):
            raise FileNotFoundError(logdir)
        yield from ((folder, names) for folder, _, names in gfile.walk(logdir))
        return
    if not os.path.isdir(logdir):
        raise NotADirectoryError(logdir) if os.path.exists(logdir) else FileNotFoundError(logdir)
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(logdir, followlinks=True):
        # TensorBoard follows links; a link to a folder above must not lead round for ever.
        if (real := os.path.realpath(folder)) in seen:
            subfolders.clear()
            continue
        seen.add(real)
        yield folder, names


def _open(path: str) -> AbstractContextManager[Any]:
    if "://" in path:
        from tensorboard.compat.tensorflow_stub.io import gfile

        opened: AbstractContextManager[Any] = gfile.GFile(path, "rb")
        return opened
    return open(path, "rb")
