"""The command line as a process: following a training, pipes and terminals, start-up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tb_numstab.cli.check import FOLLOW_SECONDS
from tb_numstab.cli.judging import MANY
from tests.support.processes import LAUNCH
from tests.support.runs import SyntheticRun, make_run
from tests.support.synthetic import Recorder, scaled_run

ROOT = Path(__file__).parent.parent


def launch(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [*LAUNCH, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_follow_tells_a_finding_when_it_comes(tmp_path: Path) -> None:
    run = make_run("fp16_overflow")
    with Recorder(tmp_path) as recorder:
        recorder.ops(run.sites).step(run.records[0])
        recorder.flush()
        process = launch("check", tmp_path, "--follow")
        assert process.stdout is not None and process.stderr is not None
        assert "watching" in process.stderr.readline()
        for record in run.records[1:60]:
            recorder.step(record)
        recorder.flush()
        assert process.stdout.readline() == ".: broken\n"
        assert "product-overflow" in process.stdout.readline()
        recorder.step(run.records[60]).flush()
        time.sleep(2 * FOLLOW_SECONDS)  # another look, which must not tell it again
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert "product-overflow" not in out
    assert process.returncode == 1
    assert err == ""


def test_follow_waits_for_a_training_that_is_about_to_begin(tmp_path: Path) -> None:
    process = launch("check", tmp_path / "logs", "--follow")
    assert process.stdout is not None and process.stderr is not None
    assert "watching" in process.stderr.readline()
    assert process.stderr.readline() == f"tb-numstab: {tmp_path / 'logs'} is not there yet: waiting for it\n"
    (tmp_path / "logs").mkdir()
    assert process.stderr.readline().endswith("holds no step record yet: waiting for one\n")
    make_run("fp16_overflow").write(tmp_path / "logs")
    assert process.stdout.readline() == ".: broken\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 1


def test_a_check_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    """As in a build that runs out of time: a process left behind would keep the pipe open for ever."""
    for name in ("one", "other"):
        scaled_run(tmp_path / name, slots=3, records=MANY)
    process = launch("check", tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and len(children.read_text().split()) < 2:
        time.sleep(0.05)
    process.kill()
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (-signal.SIGKILL, "")


def test_closed_pipe_is_no_error(logdir: Path) -> None:
    process = launch("report", logdir / "healthy", "-o", "-")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_terminal_without_unicode_is_no_error(small: SyntheticRun, tmp_path: Path) -> None:
    small.write(tmp_path / "läuft")
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    out, _ = launch("check", tmp_path, env=environment).communicate(timeout=20)
    assert out.startswith("l\\xe4uft: healthy")


PROBE = (
    "import sys; from tb_numstab.cli.main import main; code = main(sys.argv[1:]);"
    "print(*sorted({{'tensorflow', 'keras', 'pandas'}} & set(sys.modules)), file=sys.stderr); sys.exit(code{0})"
)


def heavy_modules(logdir: Path, extra: str = "") -> str:
    """Which heavy packages a check has loaded, in a fresh interpreter; ``extra`` runs first."""
    run = subprocess.run(
        [sys.executable, "-c", extra + PROBE.format(""), "check", str(logdir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    return run.stderr.strip()


def test_check_starts_without_tensorflow(logdir: Path) -> None:
    assert heavy_modules(logdir) == ""


def test_an_imported_tensorflow_would_be_noticed(logdir: Path) -> None:
    stub = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow');"
    assert heavy_modules(logdir, stub) == "tensorflow"
