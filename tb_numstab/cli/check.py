"""tb-numstab check: fails a build when a training was numerically unstable."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial

from tb_numstab.analysis.finding import Finding, Severity
from tb_numstab.analysis.rules import RULES
from tb_numstab.cli import reading
from tb_numstab.cli.check_output import FORMATS, Checked, Summary
from tb_numstab.cli.errors import EXIT_CLEAN, EXIT_FINDINGS, CliError
from tb_numstab.cli.judging import judged
from tb_numstab.cli.text import printable
from tb_numstab.store.event_files import LogFolder
from tb_numstab.store.run_data import RunData, Session
from tb_numstab.views.op_index import OpIndex
from tb_numstab.views.subject import Judged, Subjects

NAME = "check"
HELP = "Judges every run of a log folder; for continuous integration."
EPILOG = """\
exit status:
  0  no finding at or above --fail-on
  1  at least one
  2  wrong usage, or no step record could be read
"""

_FAILING = {"error": {Severity.ERROR}, "warning": {Severity.ERROR, Severity.WARNING}}

FOLLOW_SECONDS = 2.0
"""Least pause between two looks at a running training."""

_Known = Collection[tuple[str, str]]
"""Findings of the baseline: (rule, op key)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    reading.add_arguments(parser)
    parser.add_argument(
        "--fail-on", choices=_FAILING, default="error", help="the least severity that fails the check (default: error)"
    )
    parser.add_argument(
        "--select",
        metavar="RULES",
        type=_patterns,
        default=["*"],
        help="only findings of these rules: ids or patterns like 'log-*', separated by commas",
    )
    parser.add_argument(
        "--baseline", metavar="LOGDIR", help="an earlier log folder: findings it has too, of the same op, do not count"
    )
    parser.add_argument(
        "--all-sessions",
        action="store_true",
        help="judge the earlier sessions of each run too, not only the latest: a restart begins another one",
    )
    parser.add_argument(
        "--follow", action="store_true", help="watch a running training: tell new findings until Ctrl-C"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="text for people, json for programs, github for annotations on the lines of a pull request",
    )
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Prints the findings and returns the exit code."""
    known = _baseline(options)
    if options.follow:
        return _follow(options, known)
    runs = reading.read(options)
    checked = _check(runs, options, known, partial(judged, verb="Judging"))
    failed = _failed(checked, options)
    problems = [(r.name, text) for r in runs for text in r.problems]
    print(FORMATS[options.format](Summary(options.logdir, options.fail_on, failed, checked, problems)))
    return EXIT_FINDINGS if failed else EXIT_CLEAN


def _patterns(text: str) -> list[str]:
    """The patterns of --select; one that no rule matches is a mistake."""
    patterns = [p.strip() for p in text.split(",")]
    ids = sorted({rule.id for rule in RULES})
    for pattern in patterns:
        if not any(fnmatchcase(rule, pattern) for rule in ids):
            close = get_close_matches(pattern.replace("*", ""), ids)
            hint = f"did you mean {' or '.join(close)}?" if close else "docs/rules.md lists all of them"
            raise argparse.ArgumentTypeError(f"no rule is called {pattern!r}; {hint}")
    return patterns


def _failed(checked: Sequence[Checked], options: argparse.Namespace) -> bool:
    return any(f.severity in _FAILING[options.fail_on] for c in checked for f in c.findings)


def _check(
    runs: Sequence[RunData],
    options: argparse.Namespace,
    known: _Known,
    judge: Callable[[Sequence[tuple[RunData, Session]]], Iterable[Judged]],
) -> list[Checked]:
    """Each session that is to be judged, without the findings that do not count."""
    wanted = [(run, session) for run in runs for session in _wanted(run, options.all_sessions)]
    checked = []
    for subject in judge(wanted):
        selected = [f for f in subject.findings if any(fnmatchcase(f.rule, p) for p in options.select)]
        new = [f for f in selected if _identity(f, subject.ops) not in known]
        item = Checked(
            subject,
            new,
            known=len(selected) - len(new),
            unselected=len(subject.findings) - len(selected),
            earlier=[] if options.all_sessions else _before(subject.run, subject.session),
        )
        checked.append(item)
    return checked


def _wanted(run: RunData, all_sessions: bool) -> list[Session]:
    """The sessions to judge: the latest of each worker, or all of them."""
    latest = {session.worker: session for session in run.measured}
    return run.measured if all_sessions else [*latest.values()]


def _before(run: RunData, session: Session) -> list[Session]:
    """The earlier sessions of the same worker."""
    return [other for other in run.measured if other.worker == session.worker and other.id < session.id]


def _identity(finding: Finding, ops: OpIndex) -> tuple[str, str]:
    return finding.rule, ops.keys[finding.slot]


def _baseline(options: argparse.Namespace) -> _Known:
    """What the runs of --baseline found; a run's name does not matter, it often holds a date."""
    if options.baseline is None:
        return ()
    runs = reading.read(argparse.Namespace(logdir=options.baseline, run=None))
    checked = _check(runs, options, (), partial(judged, verb="Judging the baseline"))
    return {_identity(f, c.subject.ops) for c in checked for f in c.findings}


def _follow(options: argparse.Namespace, known: _Known) -> int:
    """Tells each finding once, when it is first seen; returns when interrupted."""
    if options.format == "json":
        raise CliError("--follow goes with --format text or github: JSON is one document")
    folder, subjects = LogFolder(options.logdir, options.run), Subjects()
    told: set[tuple[str, ...]] = set()
    told_problems: set[str] = set()
    failed = False
    print(f"tb-numstab: watching {printable(options.logdir)}, Ctrl-C ends", file=sys.stderr)
    try:
        while True:
            started = time.monotonic()
            runs = reading.read_or_wait(folder, options, told_problems)
            checked = _check(runs, options, known, lambda wanted: (subjects.get(run, s.id) for run, s in wanted))
            failed = failed or _failed(checked, options)
            news = [item for item in (_news(c, told) for c in checked) if item.findings]
            if news:
                print(FORMATS[options.format](Summary(options.logdir, options.fail_on, failed, news)), flush=True)
            # Judging takes longer as the run grows: never spend more than half of the time on it.
            time.sleep(max(FOLLOW_SECONDS, time.monotonic() - started))
    except KeyboardInterrupt:
        return EXIT_FINDINGS if failed else EXIT_CLEAN


def _news(item: Checked, told: set[tuple[str, ...]]) -> Checked:
    """The item with only the findings not told before, which then count as told."""
    subject = item.subject
    keys = [(subject.run.name, subject.session.id, *_identity(f, subject.ops)) for f in item.findings]
    new = [f for f, key in zip(item.findings, keys, strict=True) if key not in told]
    told.update(keys)
    return replace(item, findings=new)
