"""A real TensorBoard process on a free port, for tests."""

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

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 60.0
"""Seconds; TensorBoard imports TensorFlow when it is there, which takes some."""


@contextmanager
def tensorboard(logdir: Path, *flags: str, log: Path, path_prefix: str = "") -> Iterator[str]:
    """Runs TensorBoard and yields its address, which ends in a slash, once the plugin answers.

    Args:
      logdir: the log folder.
      *flags: more flags, for example ``--load_fast=false``.
      log: where its output goes.
      path_prefix: as TensorBoard's flag.
    """
    command = [sys.executable, "-m", "tests.plugin.serve", "--logdir", str(logdir), "--port", "0"]
    if path_prefix:
        command += ["--path_prefix", path_prefix]
    with log.open("w") as output:
        process = subprocess.Popen([*command, *flags], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        found = re.search(r"(http://\S+?/\S*) \(Press CTRL\+C", log.read_text())
        if found:
            address = found[1].rstrip("/") + "/"
            if _has_runs(address):
                return address
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"TensorBoard did not start:\n{log.read_text()[-3000:]}")


def _has_runs(address: str) -> bool:
    """Whether the log folder has been read: the first pass takes a moment after the port is open."""
    try:
        with urllib.request.urlopen(f"{address}data/plugin/numstab/runs", timeout=5) as answer:
            runs = json.load(answer)["runs"]
    except OSError:
        return False
    return bool(runs) and all(session["records"] for run in runs for session in run["sessions"])
