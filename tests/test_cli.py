"""The command line as a user and as a build meets it: exit codes, outputs, bad input, start-up."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tb_numstab.analysis.finding import Fix
from tb_numstab.cli import judging
from tb_numstab.cli.check_output import Checked, Summary, as_text
from tb_numstab.cli.main import main
from tb_numstab.schema.ops import Frame, OpSite
from tb_numstab.store.event_files import read_runs
from tb_numstab.views.subject import Subjects
from tests.support.runs import SyntheticRun, make_run
from tests.support.synthetic import SESSION, Recorder, framed

ROOT = Path(__file__).parent.parent

Result = tuple[int, str, str]
Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command and gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: object) -> Result:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def moved(run: SyntheticRun, frame: Frame, name: str) -> SyntheticRun:
    """The run with other source lines and op names."""
    sites = tuple(replace(s, frames=(frame,), name=f"{name}_{i}") for i, s in enumerate(run.sites))
    return replace(run, sites=sites)


# ---- check: what it says ----------------------------------------------------------------------


def test_healthy_run_is_clean(cli: Cli, logdir: Path) -> None:
    code, out, err = cli("check", logdir, "--run", "healthy")
    assert code == 0
    assert out == "healthy: healthy\n  No numerical problem in 80 measured steps of 81 tensors.\n"
    assert err == ""


def test_broken_run_names_line_step_cause_and_fix(cli: Cli, logdir: Path) -> None:
    code, out, err = cli("check", logdir / "nan_softmax_log")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == ".: broken"
    assert lines[1].split() == ["error", "train.py:38", "steps", "57-79", "log-of-zero"]
    assert any(line.strip().startswith("line:  loss = -tf.reduce_mean") for line in lines)
    assert "Softmax underflowed" in out
    assert "+ tf.nn.log_softmax(z)" in out
    assert err == ""


def test_line_below_the_working_directory_is_named_from_there(cli: Cli, tmp_path: Path) -> None:
    moved(make_run("nan_softmax_log"), Frame(str(Path.cwd() / "models" / "a.py"), 38, "f", ""), "op").write(tmp_path)
    assert "  error    models/a.py:38  steps 57-79" in cli("check", tmp_path)[1]


def test_a_fix_of_several_lines_stays_so(logdir: Path) -> None:
    (run,) = read_runs(str(logdir), "nan_softmax_log")
    subject = Subjects().get(run)
    finding = replace(subject.findings[0], fix=Fix("Do this.", "one", "two\nthree"))
    out = as_text(Summary("logs", "error", True, [Checked(subject, [finding])]))
    assert [line.strip() for line in out.splitlines()][-3:] == ["- one", "+ two", "+ three"]


def test_line_above_the_working_directory_is_named_in_full(cli: Cli, tmp_path: Path) -> None:
    moved(make_run("nan_softmax_log"), Frame(str(Path.cwd() / ".." / "a.py"), 38, "f", ""), "op").write(tmp_path)
    assert "  error    /" in cli("check", tmp_path)[1]


def test_all_runs_are_judged(cli: Cli, logdir: Path) -> None:
    code, out, _ = cli("check", logdir)
    assert code == 1
    heads = [line.split(":")[0] for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads == ["absorbed_updates", "fp16_overflow", "healthy", "nan_softmax_log"]


def test_json_is_one_document(cli: Cli, logdir: Path) -> None:
    code, out, _ = cli("check", logdir, "--json")
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert code == 1
    assert (document["version"], document["failed"], document["fail_on"]) == (1, True, "error")
    runs = {run["run"]: run for run in document["runs"]}
    assert runs["healthy"]["findings"] == []
    broken = runs["nan_softmax_log"]
    assert (broken["records"], broken["first_step"], broken["last_step"]) == (80, 0, 79)
    assert broken["verdict"]["status"] == "broken"
    finding = broken["findings"][0]
    assert (finding["rule"], finding["first_step"], finding["op"]["source"]["line"]) == ("log-of-zero", 57, 38)


def test_github_annotations_point_at_the_line(cli: Cli, tmp_path: Path) -> None:
    frame = Frame(str(Path.cwd() / "models" / "a,b:c.py"), 38, "step", "tf.math.log(p)")
    moved(make_run("nan_softmax_log"), frame, "50%\nop").write(tmp_path / "run")
    code, out, _ = cli("check", tmp_path, "--format", "github")
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("::error"))
    head, _, message = line.partition("::")[2].partition("::")
    assert head == "error title=tb-numstab%3A Logarithm of zero,file=models/a%2Cb%3Ac.py,line=38"
    assert "(run run, step 57, rule log-of-zero)" in message


def test_github_notice_for_a_healthy_run(cli: Cli, logdir: Path) -> None:
    code, out, _ = cli("check", logdir, "--run", "healthy", "--format", "github")
    assert code == 0
    assert out.startswith("::notice title=tb-numstab::healthy: No numerical problem")


def test_names_in_a_log_cannot_move_the_cursor(cli: Cli, tmp_path: Path) -> None:
    frame = Frame("evil\x1b[2J.py", 1, "f\r", "x\x07\u202e")
    moved(make_run("nan_softmax_log"), frame, "\x1b]0;owned\x07").write(tmp_path / "\x1b[31mrun")
    _, out, err = cli("check", tmp_path)
    assert "evil\\x1b[2J.py:1" in out
    assert all(c.isprintable() for c in (out + err).replace("\n", ""))


# ---- check: what counts -----------------------------------------------------------------------


def test_select_keeps_only_some_rules(cli: Cli, logdir: Path) -> None:
    assert cli("check", logdir / "nan_softmax_log", "--select", "log-*,exp-overflow")[0] == 1
    code, out, _ = cli("check", logdir / "nan_softmax_log", "--select", "exp-*")
    assert (code, out) == (0, ".: broken\n  not counted: 1 of rules that are not selected\n")


def test_select_of_an_unknown_rule_is_a_mistake(cli: Cli, logdir: Path) -> None:
    code, out, err = cli("check", logdir, "--select", "log-of-zeros")
    assert (code, out) == (2, "")
    assert "no rule is called 'log-of-zeros'; did you mean log-of-zero or " in err
    assert "no rule is called 'x'; docs/rules.md lists all of them" in cli("check", logdir, "--select", "x")[2]


def test_findings_of_the_baseline_do_not_count(cli: Cli, logdir: Path) -> None:
    code, out, _ = cli("check", logdir / "nan_softmax_log", "--baseline", logdir)
    assert code == 0
    assert out == ".: broken\n  not counted: 1 known from the baseline\n"
    assert "log-of-zero" not in out
    assert cli("check", logdir / "nan_softmax_log", "--baseline", logdir / "fp16_overflow")[0] == 1


LATER = "20260101T000000-00000000"


@pytest.fixture
def restarted(small: SyntheticRun, tmp_path: Path) -> Path:
    """The log of a training that broke, and was started again."""
    make_run("nan_softmax_log").write(tmp_path)
    with Recorder(tmp_path, LATER, start=1767225600.0) as run:
        run.ops(small.sites).step(replace(small.records[0], session=LATER))
    return tmp_path


def test_restarted_run_is_judged_by_its_latest_session_and_says_so(cli: Cli, restarted: Path) -> None:
    code, out, _ = cli("check", restarted)
    assert code == 0
    head, _, last = out.splitlines()
    assert head == f". (session {LATER}): healthy"
    assert last == "  1 earlier session of this run is not judged: use --all-sessions"


def test_all_sessions_are_judged_when_asked_for(cli: Cli, restarted: Path) -> None:
    code, out, _ = cli("check", restarted, "--all-sessions")
    assert code == 1
    heads = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads == [f". (session {SESSION}): broken", f". (session {LATER}): healthy"]
    assert "not judged" not in out


def test_programs_are_told_of_earlier_sessions(cli: Cli, restarted: Path) -> None:
    (run,) = json.loads(cli("check", restarted, "--json")[1])["runs"]
    assert (run["session"], run["earlier_sessions"]) == (LATER, [SESSION])
    both = json.loads(cli("check", restarted, "--json", "--all-sessions")[1])["runs"]
    assert [(run["session"], run["earlier_sessions"]) for run in both] == [(SESSION, []), (LATER, [])]
    notices = cli("check", restarted, "--format", "github")[1].splitlines()
    assert notices[-1].startswith("::notice ") and "1 earlier session of this run is not judged" in notices[-1]


def test_every_worker_is_judged(cli: Cli, small: SyntheticRun, tmp_path: Path) -> None:
    broken = make_run("nan_softmax_log")
    for worker, run in (("worker0", broken), ("worker1", small)):
        session = f"20260101T000000-{worker}"
        with Recorder(tmp_path, session, worker) as recorder:
            recorder.ops(run.sites)
            for record in run.records:
                recorder.step(replace(record, session=session, worker=worker))
    code, out, _ = cli("check", tmp_path)
    assert code == 1
    assert ". (worker0): broken" in out and ". (worker1): healthy" in out


def test_judging_of_a_run_tells_how_far_it_is(logdir: Path) -> None:
    (run,) = read_runs(str(logdir), "healthy")
    told: list[tuple[str, int, int]] = []
    judging.judge(run.sessions[0], run.name, lambda *part: told.append(part))
    assert told == [("healthy", done, 80) for done in range(80)]


def test_many_sessions_are_judged_side_by_side(cli: Cli, logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = cli("check", logdir, "--json")
    started: list[int] = []

    class Counted(ProcessPoolExecutor):
        """Tells that it was made."""

        def __init__(self, processes: int, *how: Any) -> None:
            started.append(processes)
            super().__init__(processes, *how)

    monkeypatch.setattr(judging, "MANY", 4 * 80)
    monkeypatch.setattr(judging, "ProcessPoolExecutor", Counted)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert cli("check", logdir, "--json") == alone
    assert started == [2]


def test_a_process_that_is_killed_loses_no_session(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deadly(list[OpSite]):
        """Ends the process it is sent to."""

        def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
            return os._exit, (1,)

    wanted = [(run, session) for run in read_runs(str(logdir)) for session in run.sessions]
    names = [run.name for run, _ in wanted]
    alone = [subject.verdict for subject in judging.judged(wanted, "Judging")]
    wanted[2][1].table = Deadly(wanted[2][1].table)
    monkeypatch.setattr(judging, "MANY", 1)
    subjects = [*judging.judged(wanted, "Judging")]
    assert [subject.run.name for subject in subjects] == names
    assert [subject.verdict for subject in subjects] == alone


# ---- check: bad input -------------------------------------------------------------------------


def message(result: Result) -> str:
    """What a command that could do nothing said: on stderr, with exit code 2."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("command", ["check", "report"])
def test_folder_that_is_not_there(cli: Cli, tmp_path: Path, command: str) -> None:
    missing = tmp_path / "missing"
    assert message(cli(command, missing)) == f"tb-numstab: {missing}: there is no such folder\n"


@pytest.mark.parametrize("command", ["check", "report"])
def test_file_instead_of_a_folder(cli: Cli, tmp_path: Path, command: str) -> None:
    file = tmp_path / "events"
    file.touch()
    assert "is a file: give the folder it is in" in message(cli(command, file))


@pytest.mark.parametrize("command", ["check", "report"])
def test_folder_without_our_data(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(framed(b""))
    assert "was the training step watched" in message(cli(command, tmp_path))


def test_run_that_is_not_there(cli: Cli, logdir: Path) -> None:
    said = message(cli("check", logdir, "--run", "train"))
    assert "no run train: the runs are absorbed_updates, fp16_overflow, healthy, nan_softmax_log" in said


def closed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Takes away the right to list a folder, from the superuser too."""
    scandir = os.scandir

    def refused(path: Any = ".") -> Any:
        if str(path) == str(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)


def test_folder_that_may_not_be_listed(cli: Cli, logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed(monkeypatch, logdir)
    assert f"{logdir} could not be read: Permission denied" in message(cli("check", logdir))


def test_run_that_may_not_be_listed(
    cli: Cli, small: SyntheticRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open", "closed"):
        small.write(tmp_path / name)
    closed(monkeypatch, tmp_path / "closed")
    code, out, err = cli("check", tmp_path)
    assert (code, out.splitlines()[0]) == (0, "open: healthy")
    assert err == "tb-numstab: run closed: The folder could not be read: Permission denied.\n"


def test_damage_is_said_and_the_rest_is_judged(cli: Cli, logdir: Path, small: SyntheticRun, tmp_path: Path) -> None:
    (path,) = small.write(tmp_path).iterdir()
    path.write_bytes(path.read_bytes() + b"no record, but long enough for a header")
    code, out, err = cli("check", tmp_path)
    assert code == 0
    assert out.startswith(".: healthy")
    assert "is damaged: everything from byte" in err


def test_folder_with_nothing_but_damage(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"no record, but long enough for a header")
    code, out, err = cli("check", tmp_path)
    assert (code, out) == (2, "")
    assert "no step record that could be read" in err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check"], ["check", "a", "--fail-on", "info"]])
def test_wrong_usage(cli: Cli, arguments: Sequence[str]) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert "usage: tb-numstab" in err


def test_version(cli: Cli) -> None:
    code, out, _ = cli("--version")
    assert code == 0
    assert out.startswith("tb-numstab 0.")


def test_follow_cannot_print_one_document(cli: Cli, logdir: Path) -> None:
    assert "JSON is one document" in message(cli("check", logdir, "--follow", "--json"))
