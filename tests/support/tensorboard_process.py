"""A real TensorBoard process on a free port: for tests of the plugin and the tab, pictures, and benchmarks.scale."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 60.0
"""Seconds; TensorBoard imports TensorFlow when it is there, which takes some."""


class TensorBoardProcess:
    """Runs TensorBoard; entered, it has opened its port, but may still be loading.

    Args:
      logdir: the log folder.
      *flags: more flags, for example ``--load_fast=false``.
      log: where its output goes.
      path_prefix: as TensorBoard's flag.
    """

    def __init__(self, logdir: Path, *flags: str, log: Path, path_prefix: str = "") -> None:
        command = [sys.executable, "-m", "tests.support.serve", "--logdir", str(logdir), "--port", "0", *flags]
        self._command = command + (["--path_prefix", path_prefix] if path_prefix else [])
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("w") as output:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            self.address = self._opened()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def _opened(self) -> str:
        """The address, which ends in a slash."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r"(http://\S+?/\S*) \(Press CTRL\+C", self._log.read_text())
            if found:
                return found[1].rstrip("/") + "/"
            time.sleep(0.2)
        raise RuntimeError(f"TensorBoard did not start:\n{self._log.read_text()[-3000:]}")

    def memory(self) -> int:
        """Bytes that this process alone holds (Linux); the data server is another one."""
        text = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        return sum(int(size) for size in re.findall(r"Private_\w+: +([0-9]+) kB", text)) * 1024


@contextmanager
def tensorboard(logdir: Path, *flags: str, log: Path, path_prefix: str = "") -> Iterator[str]:
    """Runs TensorBoard as TensorBoardProcess does, and yields its address once it has read the log folder."""
    with TensorBoardProcess(logdir, *flags, log=log, path_prefix=path_prefix) as server:
        deadline = time.monotonic() + START_TIMEOUT
        while not _has_runs(server.address):
            if time.monotonic() > deadline:
                raise RuntimeError(f"TensorBoard found no runs:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield server.address


def _has_runs(address: str) -> bool:
    """Whether the log folder has been read: the first pass takes a moment after the port is open."""
    try:
        with urllib.request.urlopen(f"{address}data/plugin/numstab/runs", timeout=5) as answer:
            runs = json.load(answer)["runs"]
    except OSError:
        return False
    return bool(runs) and all(session["records"] for run in runs for session in run["sessions"])
