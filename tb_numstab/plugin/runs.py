"""The runs behind the routes: read and judged when they are asked for, forgotten when others need the memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tensorboard.data.provider import DataProvider

from tb_numstab.store.provider import ProviderReader
from tb_numstab.store.run_data import RunData, RunSummary
from tb_numstab.views.json_values import Json
from tb_numstab.views.overview import progress_view, verdict_only_view
from tb_numstab.views.subject import NotInData, Subject, Subjects

MAX_BYTES = 1 << 28
"""Records, op tables and what is derived from them, of all runs together; the run asked for last stays in any case."""

Caller = tuple[Any, str]
"""TensorBoard's request context and the experiment id, which every read passes on."""


@dataclass
class _Kept:
    """A run in memory."""

    data: RunData
    subjects: Subjects = field(default_factory=Subjects)

    @property
    def nbytes(self) -> int:
        return sum(session.nbytes for session in self.data.sessions) + self.subjects.nbytes


class Runs:
    """Every run that TensorBoard has, in memory as far as there is room; those asked for least recently leave first.

    The verdict on a run stays when the run leaves: a list of many runs is judged once. Thread-safe: who works
    with a run has it until he is done, whatever leaves meanwhile.
    """

    def __init__(self, provider: DataProvider, max_bytes: int = MAX_BYTES) -> None:
        self._reader = ProviderReader(provider)
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._verdicts: dict[tuple[str, str, str | None], tuple[object, Json]] = {}
        self._lock = threading.Lock()

    def summaries(self, caller: Caller) -> list[RunSummary]:
        """What a list of runs tells. Runs that TensorBoard no longer has are forgotten."""
        found = self._reader.summaries(*caller)
        there = {(caller[1], run.name) for run in found}
        with self._lock:
            for key in [key for key in self._kept if key[0] == caller[1] and key not in there]:
                self._forget(key)
            known = self._verdicts.items()
            self._verdicts = {key: view for key, view in known if key[0] != caller[1] or key[:2] in there}
        return found

    def subject(self, caller: Caller, name: str, session: str | None = None, patience: float | None = None) -> Subject:
        """A session of a run with what its pages show, as Subjects.get gives it; ``patience`` covers the reading too.

        Raises:
          NotInData: there is no such run, or no such session in it.
        """
        started = time.monotonic()
        kept, run = self._use(caller, name)
        if patience is not None:
            patience = max(0.0, patience - (time.monotonic() - started))
        return kept.subjects.get(run, session, patience)

    def verdict(self, caller: Caller, name: str, session: str | None = None, patience: float | None = None) -> Json:
        """The view of a session's verdict; where no data are new, without reading the run. Otherwise as ``subject``."""
        key = (caller[1], name, session)
        with _naming(name):
            version = self._reader.version(*caller, name)
        known = self._verdicts.get(key)
        if known is not None and known[0] == version:
            return known[1]
        subject = self.subject(caller, name, session, patience)
        view = verdict_only_view(subject)
        if subject.is_whole:
            with self._lock:
                self._verdicts[key] = version, view
        return view

    def progress(self, caller: Caller, name: str, session: str | None = None) -> Json:
        """The view of how much of a session is judged; never waits for the rest. Raises as ``subject``."""
        kept, run = self._use(caller, name)
        return progress_view(run, *kept.subjects.progress(run, session))

    def _use(self, caller: Caller, name: str) -> tuple[_Kept, RunData]:
        """A run as it is now; it counts as the one asked for last."""
        with _naming(name):
            run = self._reader.run(*caller, name)
        key = (caller[1], name)
        with self._lock:
            kept = self._kept.setdefault(key, _Kept(run))
            kept.data = run
            self._kept.move_to_end(key)
            self._make_room()
        return kept, run

    def _make_room(self) -> None:
        size = sum(kept.nbytes for kept in self._kept.values())
        while size > self._max_bytes and len(self._kept) > 1:
            oldest, kept = next(iter(self._kept.items()))
            size -= kept.nbytes
            self._forget(oldest)

    def _forget(self, key: tuple[str, str]) -> None:
        del self._kept[key]
        self._reader.forget(*key)


@contextmanager
def _naming(run: str) -> Iterator[None]:
    """The reader's KeyError in words."""
    try:
        yield
    except KeyError as error:
        raise NotInData(f'There is no run "{run}" with tb-numstab data.') from error
