"""tb-numstab doctor: what is installed, and whether it works together."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources, util
from pathlib import Path

from packaging.requirements import Requirement

from tb_numstab.analysis.narrate import counted
from tb_numstab.cli.errors import EXIT_CLEAN, EXIT_UNUSABLE
from tb_numstab.cli.text import printable
from tb_numstab.plugin.backend import STATIC_FILES
from tb_numstab.schema.names import PLUGIN_NAME
from tb_numstab.store.event_files import read_runs

NAME = "doctor"
HELP = "Says which versions are installed and tries whether measuring, logging and the tab work with them."
EPILOG = """\
exit status:
  0  what is installed works; without TensorFlow, that is the tab and the command line
  2  something is broken
"""

OPTIONAL = {
    "pandas": "a DataFrame of load_run(...)",
    "boto3": "logs on s3://",
    "fsspec": "logs on other file systems",
    "tf_keras": "models of Keras 2",
}
SELF_TEST = "tb_numstab.instrument.self_test"
SELF_TEST_SECONDS = 300


@dataclass(frozen=True)
class Check:
    """One line of the report: what, and what to know about it.

    Attributes:
      state: "ok", "absent" (nothing wrong), "limit" (nowhere covered) or "broken".
    """

    state: str
    what: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.state:<8}{self.what}{': ' if self.about else ''}{printable(self.about)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments."""


def run(options: argparse.Namespace) -> int:
    """Prints one line per check and returns the exit code."""
    print(f"tb-numstab {metadata.version('tb-numstab')}, Python {platform.python_version()}, {platform.platform()}")
    broken = 0
    for check in checks():
        print(check, flush=True)
        broken += check.state == "broken"
    print(f"\n{_conclusion(broken)}")
    return EXIT_UNUSABLE if broken else EXIT_CLEAN


def _conclusion(broken: int) -> str:
    if broken:
        return f"{counted(broken, 'line')} above {'is' if broken == 1 else 'are'} broken."
    if not _has_tensorflow():
        return "Logs can be read and shown here. Trainings can be measured once TensorFlow is installed."
    return "Trainings can be measured here, and their logs read and shown."


def _has_tensorflow() -> bool:
    return util.find_spec("tensorflow") is not None


def checks() -> Iterator[Check]:
    """Every check, the quick ones first."""
    required = [Requirement(text) for text in metadata.requires("tb-numstab") or ()]
    yield from (_version(r) for r in required if r.marker is None)
    yield _tab()
    for name, use in OPTIONAL.items():
        yield Check("ok", name, f"for {use}") if util.find_spec(name) else Check("absent", name, f"only for {use}")
    flavours = [r for r in required if r.name.startswith("tensorflow")]
    if not _has_tensorflow():
        yield Check("absent", "TensorFlow", f"only for measuring trainings: {_remedy(flavours[0])}")
        return
    yield from (_version(r) for r in flavours if _installed(r.name))
    keras = _installed("keras")
    yield Check("ok", f"keras {keras}") if keras else Check("broken", "keras", "not installed: pip install keras")
    yield from _measuring()


def _installed(name: str) -> str:
    """The version of a distribution, or ""."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _version(requirement: Requirement) -> Check:
    version = _installed(requirement.name)
    if not version:
        return Check("broken", requirement.name, f"not installed: {_remedy(requirement)}")
    if not requirement.specifier.contains(version, prereleases=True):
        return Check("broken", f"{requirement.name} {version}", f"tb-numstab needs another: {_remedy(requirement)}")
    return Check("ok", f"{requirement.name} {version}")


def _remedy(requirement: Requirement) -> str:
    return f"pip install '{requirement.name}{requirement.specifier}'"


def _tab() -> Check:
    """Whether TensorBoard finds the plugin, and the plugin its pages."""
    if not metadata.entry_points(group="tensorboard_plugins", name=PLUGIN_NAME):
        return Check("broken", "tab", "TensorBoard does not find the plugin: install tb-numstab beside it")
    folder = resources.files("tb_numstab").joinpath("static")
    if missing := [name for name in STATIC_FILES if not folder.joinpath(name).is_file()]:
        return Check("broken", "tab", f"{', '.join(missing)} is not in the package: install tb-numstab again")
    return Check("ok", "tab", "TensorBoard finds it")


def _measuring() -> Iterator[Check]:
    """Trains a little in a process of its own, and reads back what it has logged."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            trained = subprocess.run(
                [sys.executable, "-m", SELF_TEST, folder], capture_output=True, text=True, timeout=SELF_TEST_SECONDS
            )
        except subprocess.TimeoutExpired:
            yield Check("broken", "TensorFlow", f"a training of a few steps took more than {SELF_TEST_SECONDS} s")
            return
        if trained.returncode != 0:
            yield Check("broken", "TensorFlow", trained.stderr.strip().rpartition("\n")[2])
            return
        report = json.loads(trained.stdout.splitlines()[-1])
        devices = report.pop("devices")
        yield from (Check("broken" if error else "ok", name, error) for name, error in report.items())
        yield _log(Path(folder), len(report))
        yield Check("ok", "devices", ", ".join(devices))
        yield Check("limit", "steps that change a queue or a table", "not measured; see docs/coverage.md")


def _log(folder: Path, trainings: int) -> Check:
    runs = read_runs(str(folder))
    problems = [problem for run in runs for problem in run.problems]
    if problems or len([r for r in runs if r.measured]) != trainings:
        return Check("broken", "log", "; ".join(problems) or "not every training's records could be read back")
    return Check("ok", "log", "what was measured was read back")
