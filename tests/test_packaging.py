"""What a user gets: an sdist that builds, a wheel that is whole, an installation that works without TensorFlow."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=120)


def build(source: Path, kind: str, out: Path) -> subprocess.CompletedProcess[str]:
    """Runs the declared build backend the way pip does, without its download of setuptools."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    return run(sys.executable, "-c", code, cwd=source)


def copy_of_the_repository(target: Path) -> Path:
    """The files that a commit of the present tree would hold."""
    listing = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listing.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = build(
        copy_of_the_repository(tmp_path_factory.mktemp("source")), "sdist", out := tmp_path_factory.mktemp("sdist")
    )
    assert built.returncode == 0, built.stderr
    (archive,) = out.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as built from the sdist alone."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    built = build(source, "wheel", out := tmp_path_factory.mktemp("wheel"))
    assert built.returncode == 0, built.stderr
    (archive_path,) = out.iterdir()
    return archive_path


def with_requirements(distribution: metadata.Distribution) -> Iterator[metadata.Distribution]:
    """A distribution and all that pip would install with it, extras aside; some come up more than once."""
    yield distribution
    for text in distribution.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from with_requirements(metadata.distribution(requirement.name))


def install(wheel: Path, venv: Path, *others: str) -> Path:
    """Makes an environment of the wheel, what it declares, and other distributions, linked from this environment."""
    assert run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=ROOT).returncode == 0
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python")
    installed = run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=ROOT)
    assert installed.returncode == 0, installed.stderr
    (site,) = venv.glob("lib/python*/site-packages")
    (ours,) = metadata.distributions(name="tb-numstab", path=[str(site)])
    for wanted in (ours, *map(metadata.distribution, others)):
        for distribution in with_requirements(wanted):
            for top in {file.parts[0] for file in distribution.files or ()} - {".."}:
                if not (site / top).exists():
                    (site / top).symlink_to(str(distribution.locate_file(top)))
    return venv


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment without TensorFlow."""
    return install(wheel, tmp_path_factory.mktemp("venv"))


def tensorflow_here() -> str:
    """The distribution that brought TensorFlow into this environment."""
    return next(name for name in metadata.packages_distributions()["tensorflow"] if name.startswith("tensorflow"))


def test_wheel_is_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        declared = configparser.ConfigParser()
        declared.read_string(archive.read(entry_points).decode())
    assert {
        "tb_numstab/py.typed",
        "tb_numstab/static/index.js",
        "tb_numstab/schema/numstab.proto",
        "tb_numstab/schema/numstab_pb2.py",
        "tb_numstab/schema/numstab_pb2.pyi",
        *(f"tb_numstab/demo/{path.name}" for path in (ROOT / "demo").glob("*.py")),
    } <= names
    assert {name.partition("/")[0] for name in names} == {"tb_numstab", wheel.name.rpartition("-py3")[0] + ".dist-info"}
    assert dict(declared["tensorboard_plugins"]) == {"numstab": "tb_numstab.plugin.loader:Loader"}
    assert dict(declared["console_scripts"]) == {"tb-numstab": "tb_numstab.cli.main:main"}


def test_wheel_does_not_choose_a_tensorflow(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        required = re.findall(r"^Requires-Dist: (.*)$", archive.read(name).decode(), re.MULTILINE)
    assert {Requirement(text).name for text in required if "extra ==" not in text} == {
        "numpy",
        "packaging",
        "protobuf",
        "tensorboard",
    }


def test_sdist_holds_the_sources_of_the_bundle(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"frontend/package.json", "tests/test_packaging.py", "demo/nan_softmax.py", "LICENSE", "Makefile"} <= names
    assert not any("node_modules" in name for name in names)


def test_tensorboard_shows_the_tab_without_tensorflow(installation: Path, tmp_path: Path) -> None:
    python = installation / "bin" / "python"
    assert run(python, "-c", "import tensorflow", cwd=tmp_path).returncode != 0
    server = subprocess.Popen(
        [python, "-m", "tensorboard.main", "--logdir", tmp_path, "--port", "0", "--load_fast", "false"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://localhost:\d+/", line)))
        with urlopen(address + "data/plugins_listing", timeout=30) as reply:
            listing = json.load(reply)
        module = listing["numstab"]["loading_mechanism"]["module_path"]
        with urlopen(address + module.lstrip("/"), timeout=30) as reply:
            bundle = reply.read()
    finally:
        server.terminate()
        server.wait(timeout=30)
    assert bundle == (ROOT / "tb_numstab" / "static" / "index.js").read_bytes()


def test_command_line_starts_without_tensorflow(installation: Path, tmp_path: Path) -> None:
    helped = run(installation / "bin" / "tb-numstab", "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "usage: tb-numstab" in helped.stdout


def test_the_hook_says_that_it_needs_tensorflow(installation: Path, tmp_path: Path) -> None:
    for name in ("watch", "log_step", "NumericalHealth", "HealthHook"):
        said = run(installation / "bin" / "python", "-c", f"from tb_numstab import {name}", cwd=tmp_path)
        assert said.returncode == 1
        assert said.stderr.splitlines()[-1].startswith(
            f"ModuleNotFoundError: tb_numstab.{name} needs TensorFlow 2.21 or newer with Keras 3: pip install"
        )


def test_the_demo_says_that_it_needs_tensorflow(installation: Path, tmp_path: Path) -> None:
    said = run(installation / "bin" / "tb-numstab", "demo", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("tb-numstab: the demos need tensorflow")


def test_the_demo_of_an_installed_wheel_names_the_line(wheel: Path, tmp_path: Path) -> None:
    venv = install(wheel, tmp_path / "venv", tensorflow_here(), "scikit-learn")
    said = run(venv / "bin" / "tb-numstab", "demo", "nan_softmax", "--no-open", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "nan_softmax: BROKEN. Logarithm of zero at step " in said.stdout
    assert "  Log at numstab_demo/nan_softmax.py:" in said.stdout


def test_doctor_without_tensorflow(installation: Path, tmp_path: Path) -> None:
    said = run(installation / "bin" / "tb-numstab", "doctor", cwd=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "ok      tab: TensorBoard finds it" in said.stdout
    *_, tensorflow, _, conclusion = said.stdout.splitlines()
    assert tensorflow == "absent  TensorFlow: only for measuring trainings: pip install 'tensorflow>=2.21'"
    assert conclusion.startswith("Logs can be read and shown here.")


def test_no_wheel_is_built_without_the_bundle(tmp_path: Path) -> None:
    source = copy_of_the_repository(tmp_path / "source")
    shutil.rmtree(source / "tb_numstab" / "static")
    built = build(source, "wheel", tmp_path)
    assert built.returncode != 0
    assert built.stderr.splitlines()[-1].startswith(
        "tb-numstab: tb_numstab/static/index.js is missing: run `make frontend`"
    )


def test_an_editable_installation_only_warns_of_a_missing_bundle(tmp_path: Path) -> None:
    source = copy_of_the_repository(tmp_path / "source")
    shutil.rmtree(source / "tb_numstab" / "static")
    built = build(source, "editable", tmp_path)
    assert built.returncode == 0, built.stderr
    assert "tb_numstab/static/index.js is missing" in built.stderr
