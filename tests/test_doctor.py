"""tb-numstab doctor: says what works, and fails where something does not."""

from __future__ import annotations

from importlib import metadata, util
from typing import Any

import pytest

from tb_numstab.cli import doctor
from tb_numstab.cli.main import main


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The state of each check by the first word of what it is about."""
    lines = capsys.readouterr().out.splitlines()[1:-2]
    return {line[8:].split()[0].strip(":"): line.split()[0] for line in lines}


def test_this_installation_works(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])
    found = states(capsys)
    assert code == 0, found
    packages = {"numpy", "protobuf", "tensorboard", "keras"}
    covered = {"measured", "replayed", "XLA", "eager", "Keras", "session"}
    assert {what for what, state in found.items() if state == "ok"} >= {*packages, *covered, "tab", "log", "devices"}
    assert [what for what, state in found.items() if state == "limit"] == ["steps"]


def without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "tensorflow" else find(name))


def test_no_tensorflow_is_nothing_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    without_tensorflow(monkeypatch)
    assert main(["doctor"]) == 0
    found = states(capsys)
    assert found["TensorFlow"] == "absent"
    assert "measured" not in found


@pytest.mark.parametrize(("distribution", "installed"), [("protobuf", "8.0.0"), ("tensorboard", "2.19.0")])
def test_a_version_out_of_range(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], distribution: str, installed: str
) -> None:
    without_tensorflow(monkeypatch)
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: installed if name == distribution else version(name))
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert f"broken  {distribution} {installed}: tb-numstab needs another: pip install '{distribution}" in out
    assert out.splitlines()[-1] == "1 line above is broken."


def test_a_plugin_that_tensorboard_does_not_find(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_tensorflow(monkeypatch)

    def none(**selection: Any) -> metadata.EntryPoints:
        return metadata.EntryPoints()

    monkeypatch.setattr(metadata, "entry_points", none)
    assert main(["doctor"]) == 2
    assert states(capsys)["tab"] == "broken"


def test_a_tensorflow_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "SELF_TEST", "tb_numstab.instrument.not_there")
    assert main(["doctor"]) == 2
    assert "not_there" in capsys.readouterr().out.splitlines()[-3]
