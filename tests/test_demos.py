"""The demos go wrong, or not, where their sources say so; numbers may differ from machine to machine."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import socket
import subprocess
from importlib import util
from pathlib import Path
from urllib.request import urlopen

import pytest

from tb_numstab.analysis.engine import Analysis, analyse
from tb_numstab.analysis.finding import Status
from tb_numstab.cli.main import main
from tb_numstab.store.event_files import read_runs
from tests.support.processes import LAUNCH

ROOT = Path(__file__).parent.parent
DEMOS = ROOT / "demo"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def line_of(demo: str, marker: str) -> int:
    """The 1-based line of a demo's source that ends in, or goes on after, a marker comment."""
    (found,) = [n for n, line in enumerate((DEMOS / f"{demo}.py").read_text().splitlines(), 1) if marker in line]
    return found


class Trained:
    """Trains each demo once and hands out the analyses of its runs."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._runs: dict[str, dict[str, Analysis]] = {}

    def run(self, demo: str, run: str = ".") -> Analysis:
        if demo not in self._runs:
            folder = self._logs / demo
            importlib.import_module(f"demo.{demo}").main(str(folder))
            self._runs[demo] = {found.name: analyse(found.sessions[-1]) for found in read_runs(str(folder))}
        return self._runs[demo][run]


@pytest.fixture(scope="module")
def trained(logs: Path) -> Trained:
    return Trained(logs)


@pytest.mark.parametrize(
    ("demo", "run"),
    [
        ("healthy", "."),
        ("float16", "loss_scaled"),
        ("lost_updates", "float32"),
        ("seed_story", "multiply"),
        ("seed_story", "sigmoid"),
        ("seed_story", "sgd_clipnorm"),
        ("seed_story", "adam_clipnorm"),
    ],
)
def test_a_healthy_training_is_called_healthy(trained: Trained, demo: str, run: str) -> None:
    analysis = trained.run(demo, run)
    assert analysis.verdict.status is Status.HEALTHY, analysis.verdict.text


@pytest.mark.parametrize(
    ("demo", "run", "op_type", "marker"),
    [
        ("nan_softmax", ".", "Log", "# BUG"),
        ("float16", "overflow", "BatchMatMulV2", "# BUG"),
        ("float16", "underflow", "Cast", "# its gradient is cast"),
        ("lost_updates", "bfloat16", "AssignSubVariableOp", "# BUG"),
        ("seed_story", "sgd", "Square", "# SGD overflows"),
    ],
)
def test_the_verdict_names_the_op_and_its_line(
    trained: Trained, demo: str, run: str, op_type: str, marker: str
) -> None:
    verdict = trained.run(demo, run).verdict
    assert verdict.finding is not None, verdict.text
    source = verdict.finding.site.source
    assert source is not None
    assert (verdict.finding.site.op_type, Path(source.file).name, source.line) == (
        op_type,
        f"{demo}.py",
        line_of(demo, marker),
    )


def test_the_product_of_the_seed_story_is_a_wide_gap_without_harm(trained: Trained) -> None:
    (found,) = trained.run("seed_story", "multiply").interactions
    assert (found.gap, found.effect) == (199, "none")


# ---- tb-numstab demo --------------------------------------------------------------------------


COMMAND = [*LAUNCH, "demo"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def test_the_command_prints_verdict_line_and_link(tmp_path: Path) -> None:
    run = demo("nan_softmax", "--no-open", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "nan_softmax: BROKEN." in run.stdout
    assert f"numstab_demo/nan_softmax.py:{line_of('nan_softmax', '# BUG')}:" in run.stdout
    assert "http://localhost:6006/#numstab&p.numstab.run=nan_softmax&p.numstab.step=" in run.stdout
    programs = {path.name: path.read_text() for path in (tmp_path / "numstab_demo").glob("*.py")}
    assert programs == {path.name: path.read_text() for path in DEMOS.glob("*.py")}


def test_a_program_that_was_changed_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / "healthy.py"
    mine.write_text("from . import digits\n\ndef main(log_dir):\n    print(digits.HELD_OUT, 'of mine', log_dir)\n")
    run = demo("healthy", "--no-open", "--folder", "mine", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "325 of mine mine/logs/healthy" in run.stdout


def test_tensorboard_runs_until_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "healthy.py").write_text("def main(log_dir):\n    print('trained')\n")
    command = [*COMMAND, "healthy", "--folder", "mine", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    said = iter(process.stdout.readline, "")
    address = next(found[1] for line in said if (found := re.search(r"TensorBoard is at (http\S+)", line)))
    with urlopen(f"{address}data/plugins_listing", timeout=60) as reply:
        assert "numstab" in json.load(reply)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_port_in_use_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "healthy.py").write_text("def main(log_dir):\n    print('trained')\n")
    with socket.create_server(("localhost", 0)) as server:
        run = demo("healthy", "--folder", "mine", "--port", str(server.getsockname()[1]), cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("tb-numstab: TensorBoard does not start: ")
    assert run.stderr.endswith("the logs are in mine/logs\n")


def test_the_command_knows_its_demos(tmp_path: Path) -> None:
    run = demo("no_such_demo", "--no-open", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "no demo is called no_such_demo; there are healthy, nan_softmax" in run.stderr
    assert not [*tmp_path.iterdir()]


def test_the_command_says_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    assert main(["demo", "--folder", str(tmp_path / "trial")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "tb-numstab: the demos need tensorflow and scikit-learn: pip install tensorflow scikit-learn\n"


def test_programs_that_cannot_be_copied(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = demo("healthy", "--no-open", "--folder", "file/below", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "the programs could not be copied to" in run.stderr.splitlines()[-1]
