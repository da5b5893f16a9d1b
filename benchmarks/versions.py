"""Runs a share of the tests in fresh environments: oldest and newest of what tb-numstab says it works with.

    python -m benchmarks.versions [--only NAME,...] [--pythons python3.11,python3.12,python3.13]

(or ``make matrix``). Each environment is made with pip, tried, and removed again; the table that is printed names the
versions that pip chose. An interpreter that is not installed is left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEST_PACKAGES = ("pytest>=9.0", "hypothesis>=6.170", "playwright>=1.65")

READING = ("tests/test_schema.py", "tests/test_store.py", "tests/plugin")
WRITING = ("tests/instrument/test_survey.py", "tests/instrument/test_replay.py", "tests/instrument/test_session.py")

SHOWN = ("tensorflow-cpu", "keras", "tensorboard", "protobuf", "numpy")


@dataclass(frozen=True)
class Environment:
    """What to install, and what to try there.

    Attributes:
      name: for --only and the table.
      python: the interpreter's version.
      packages: pip requirements beyond the tests' own; pip picks the newest that they allow.
      tests: files and folders given to pytest.
    """

    name: str
    python: str
    packages: tuple[str, ...]
    tests: tuple[str, ...]


_OLDEST = ("tensorboard==2.21.0", "protobuf==6.31.1", "numpy==1.26.4", "packaging==24.0")
_NEWEST = ("tensorboard>=2.21", "protobuf<8", "numpy", "packaging")

ENVIRONMENTS = (
    Environment("oldest", "3.11", ("tensorflow-cpu==2.21.0", "keras==3.12.0", *_OLDEST), (*WRITING, *READING)),
    Environment("newest", "3.11", ("tensorflow-cpu>=2.21", "keras>=3.12", *_NEWEST), (*WRITING, *READING)),
    Environment("newest", "3.12", ("tensorflow-cpu>=2.21", "keras>=3.12", *_NEWEST), (*WRITING, *READING)),
    Environment("newest", "3.13", ("tensorflow-cpu>=2.21", "keras>=3.12", *_NEWEST), (*WRITING, *READING)),
    Environment("viewer-oldest", "3.11", _OLDEST, READING),
    Environment("viewer-newest", "3.13", _NEWEST, READING),
)


def tried(environment: Environment, interpreter: str, folder: Path) -> tuple[bool, str]:
    """Makes the environment and runs its tests.

    Returns:
      Whether all passed, and the row of the table.
    """
    venv, log = folder / "venv", folder / "log.txt"
    python = venv / "bin" / "python"
    started = time.monotonic()
    steps: tuple[list[str | Path], ...] = (
        [interpreter, "-m", "venv", venv],
        [python, "-m", "pip", "install", "--quiet", *environment.packages, *TEST_PACKAGES],
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ROOT],
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *environment.tests],
    )
    with log.open("w") as output:
        passed = all(subprocess.run(s, cwd=ROOT, stdout=output, stderr=output).returncode == 0 for s in steps)
    last = (log.read_text().strip().splitlines() or ["nothing was said"])[-1]
    if not passed:
        print(log.read_text()[-4000:], file=sys.stderr)
    versions = " | ".join(_versions(python))
    minutes = (time.monotonic() - started) / 60
    return (
        passed,
        f"| {environment.name} | {environment.python} | {versions} | {last.strip('= ')} | {minutes:.0f} min |",
    )


def _versions(python: Path) -> Iterator[str]:
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True)
    found = {p["name"].lower().replace("_", "-"): p["version"] for p in json.loads(listed.stdout or "[]")}
    yield from (found.get(name, "none") for name in SHOWN)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions")
    parser.add_argument("--only", help="names of environments, separated by commas", default="")
    parser.add_argument("--pythons", default="python3.11,python3.12,python3.13", help="interpreters, commas between")
    options = parser.parse_args()
    interpreters = {_version(found): found for p in options.pythons.split(",") if (found := shutil.which(p))}
    wanted = set(filter(None, options.only.split(",")))
    print(f"| Environment | Python | {' | '.join(SHOWN)} | Result | Time |\n|{' --- |' * (len(SHOWN) + 4)}", flush=True)
    failed = False
    for environment in ENVIRONMENTS:
        if wanted and environment.name not in wanted:
            continue
        if environment.python not in interpreters:
            print(f"| {environment.name} | {environment.python} | no such interpreter here |", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            passed, row = tried(environment, interpreters[environment.python], Path(folder))
        print(row, flush=True)
        failed = failed or not passed
    sys.exit(1 if failed else 0)


def _version(interpreter: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([interpreter, "-c", code], capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
