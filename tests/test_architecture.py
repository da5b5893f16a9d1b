"""The rules of ARCHITECTURE.md that a machine can check. Each check has a test that it can fail."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tb_numstab"
DESCRIPTION = ROOT / "ARCHITECTURE.md"

ROOMS: dict[str, set[str]] = {
    "schema": set(),
    "store": {"schema"},
    "analysis": {"schema", "store"},
    "instrument": {"schema", "analysis"},  # log_step returns the verdict on the record it wrote
    "views": {"schema", "store", "analysis"},
    "plugin": {"schema", "store", "analysis", "views"},
    "report": {"schema", "store", "analysis", "views"},
    "cli": {"schema", "store", "analysis", "views", "plugin", "report"},
}
"""What each room may import from the others."""

PACKAGES: dict[str, set[str]] = {
    "schema": {"numpy", "google"},
    "store": {"numpy", "tensorboard", "google"},
    "analysis": {"numpy"},
    "instrument": {"numpy", "tensorflow", "keras"},
    "views": {"numpy"},
    "plugin": {"tensorboard", "werkzeug"},
    "report": {"numpy"},
    "cli": {"packaging", "tensorboard"},
}
"""What each room may import from outside; only ``instrument`` may know TensorFlow."""

LONGEST_FILE = 400
GENERATED = ("tb_numstab/static/", "tb_numstab/schema/numstab_pb2")


# ---- imports ----------------------------------------------------------------------------------


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import, the lazy and the type-only ones too.

    Args:
      tree: a parsed module.
      package: the dotted package that holds it, from which relative imports start.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) + 1 - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            # `from tb_numstab import store` names a room only in its alias.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and node.args:
            if isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)


def violations(package: Path) -> list[str]:
    """One sentence for each import that ROOMS or PACKAGES forbids, under a ``tb_numstab`` folder."""
    found = []
    for path in sorted(package.rglob("*.py")):
        room, *inner = path.relative_to(package).parts
        if not inner:  # tb_numstab/__init__.py offers every room's public names, lazily
            continue
        dotted = ".".join(("tb_numstab", room, *inner[:-1]))
        for line, module in imported(ast.parse(path.read_text()), dotted):
            top, _, rest = module.partition(".")
            target = rest.partition(".")[0] if top == "tb_numstab" else top
            allowed = ROOMS[room] | {room} if top == "tb_numstab" else PACKAGES[room] | set(sys.stdlib_module_names)
            if target not in allowed:
                found.append(f"{path.relative_to(package)}:{line}: {room} must not import {module}")
    return found


def test_imports_point_downward() -> None:
    assert violations(PACKAGE) == []


def test_every_room_is_on_the_floor_plan() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == ROOMS.keys() == PACKAGES.keys()
    plan = re.findall(r"^\| \d \| `(\w+)` \| .* \| (.*) \|$", DESCRIPTION.read_text(), re.MULTILINE)
    assert {room: set(packages.replace("protobuf", "google").split(", ")) for room, packages in plan} == PACKAGES


def test_every_module_is_described() -> None:
    section = DESCRIPTION.read_text().partition("## Every module\n")[2].partition("\n## ")[0]
    modules = {path.stem for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"\| ([^|]*) \|$", section, re.MULTILINE))))
    assert named == modules


@pytest.mark.parametrize(
    ("room", "statement", "culprit"),
    [
        ("store", "from tb_numstab.views import banner", "tb_numstab.views.banner"),
        ("store", "from tb_numstab import instrument", "tb_numstab.instrument"),
        ("analysis", "def lazily():\n    import tensorflow as tf", "tensorflow"),
        ("schema", "from ..store import run_data", "tb_numstab.store.run_data"),
        (
            "views",
            "import importlib\nimportlib.import_module('tb_numstab.plugin.backend')",
            "tb_numstab.plugin.backend",
        ),
        ("analysis", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorboard", "tensorboard"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, room: str, statement: str, culprit: str) -> None:
    (tmp_path / room).mkdir()
    (tmp_path / room / "bad.py").write_text(statement + "\n")
    (found,) = violations(tmp_path)
    assert found.endswith(f"{room} must not import {culprit}")


# ---- what an import loads ---------------------------------------------------------------------


def loaded_by(statements: str) -> set[str]:
    """The top-level packages in memory after the statements ran in a fresh interpreter."""
    report = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run(
        [sys.executable, "-c", f"{statements}\n{report}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_importing_the_package_loads_neither_tensorflow_nor_tensorboard() -> None:
    loaded = loaded_by("import tb_numstab")
    assert "tb_numstab" in loaded
    assert loaded.isdisjoint({"tensorflow", "keras", "tensorboard"})


def test_a_loaded_tensorboard_would_be_noticed() -> None:
    assert "tensorboard" in loaded_by("import tb_numstab, tensorboard.errors")


def test_all_rooms_but_instrument_import_where_there_is_no_tensorflow() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "instrument" and path.name not in ("__init__.py", "__main__.py")
    ]
    loaded_by("import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\nimport " + ", ".join(modules))


def test_an_import_of_a_missing_tensorflow_would_be_noticed() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        loaded_by("import sys; sys.modules['tensorflow'] = None\nimport tensorflow")


# ---- the tree ---------------------------------------------------------------------------------


def tracked() -> list[str]:
    """Paths of the files in the repository, relative to its root."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def too_long(root: Path, names: list[str]) -> list[str]:
    """The hand-written source files with more lines than LONGEST_FILE."""
    suffixes = {".py", ".ts", ".tsx", ".css", ".mjs", ".proto"}
    sources = [name for name in names if Path(name).suffix in suffixes and not name.startswith(GENERATED)]
    return [name for name in sources if len((root / name).read_text().splitlines()) > LONGEST_FILE]


# In pieces, so that this file does not hold what it forbids.
_HOSTS = ("registry.npmjs" + ".org", "files.pythonhosted" + ".org", "pypi" + ".org", "deb.debian" + ".org")
_FOREIGN = re.compile("|".join(("/wor" + r"k/\w", "/roo" + r"t/\w", r"/home/\w+/", *map(re.escape, _HOSTS))))


def foreign_lines(root: Path, names: list[str]) -> list[str]:
    """``file:line`` of each line that names a path of somebody's machine or a package registry's host."""
    found = []
    for name in names:
        text = (root / name).read_bytes().decode("utf-8", "replace")
        found += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if _FOREIGN.search(line)]
    return found


def test_no_source_file_is_too_long() -> None:
    assert too_long(ROOT, tracked()) == []


def test_nothing_in_the_repository_depends_on_one_machine() -> None:
    assert foreign_lines(ROOT, tracked()) == []


def test_the_checks_of_the_tree_can_fail(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("pass\n" * (LONGEST_FILE + 1))
    (tmp_path / "lock.json").write_text('{\n"resolved": "https://' + _HOSTS[0] + '/x.tgz"\n}\n')
    assert too_long(tmp_path, ["long.py"]) == ["long.py"]
    assert foreign_lines(tmp_path, ["long.py", "lock.json"]) == ["lock.json:2"]


def test_protobuf_code_is_of_the_oldest_supported_runtime() -> None:
    # A protobuf older than the generator refuses the module at import, and TensorBoard with it.
    header = (PACKAGE / "schema" / "numstab_pb2.py").read_text().splitlines()[:6]
    assert "# Protobuf Python Version: 6.31.1" in header
