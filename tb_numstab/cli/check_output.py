"""What check prints: text for people, JSON for programs, annotations for GitHub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tb_numstab.analysis.finding import Finding, Severity
from tb_numstab.analysis.narrate import counted
from tb_numstab.cli.text import from_here, printable, wrapped
from tb_numstab.store.run_data import Session
from tb_numstab.views.findings import finding_view, verdict_view
from tb_numstab.views.json_values import Json
from tb_numstab.views.subject import Judged

JSON_VERSION = 1
"""Version of the JSON; grows when a reader of the older one could go wrong."""


@dataclass(frozen=True)
class Checked:
    """A session of a run: the current state, as one worker logged it, unless an earlier one was asked for.

    Attributes:
      subject: what was judged.
      findings: those that count, the most harmful first.
      known: how many do not count because the baseline has them.
      unselected: how many do not count because their rules are not selected.
      earlier: sessions of the same run and worker that are not judged.
    """

    subject: Judged
    findings: Sequence[Finding]
    known: int = 0
    unselected: int = 0
    earlier: Sequence[Session] = ()

    @property
    def name(self) -> str:
        """The run, with what tells its sessions apart where it has several: the worker, and when one began."""
        run, session = self.subject.run, self.subject.session
        several = sum(other.worker == session.worker for other in run.measured) > 1
        parts = [part for part in (session.worker, f"session {session.id}" if several else "") if part]
        return f"{run.name} ({', '.join(parts)})" if parts else run.name

    @property
    def not_judged(self) -> str:
        """That there are earlier sessions, and how to have them judged; "" without any."""
        if not self.earlier:
            return ""
        verb = "is" if len(self.earlier) == 1 else "are"
        return f"{counted(len(self.earlier), 'earlier session')} of this run {verb} not judged: use --all-sessions"

    @property
    def ignored(self) -> str:
        """How many findings do not count, and why; "" without any."""
        parts = ((self.known, "known from the baseline"), (self.unselected, "of rules that are not selected"))
        told = ", ".join(f"{count} {why}" for count, why in parts if count)
        return f"not counted: {told}" if told else ""

    @property
    def notes(self) -> Sequence[str]:
        """What the hook remarked on the last record."""
        session = self.subject.session
        return session.record(session.steps[-1]).notes


@dataclass(frozen=True)
class Summary:
    """The result of a check.

    Attributes:
      logdir, fail_on: as given.
      failed: whether a finding is severe enough.
      checked: runs by name.
      problems: (run, sentence) for what could not be read.
    """

    logdir: str
    fail_on: str
    failed: bool
    checked: Sequence[Checked]
    problems: Sequence[tuple[str, str]] = ()


# ---- text -------------------------------------------------------------------------------------

_INDENT = " " * 11


def as_text(summary: Summary) -> str:
    """Runs, and under each its findings with cause and fix."""
    width = shutil.get_terminal_size().columns
    return "\n\n".join("\n".join(_run_text(item, width)) for item in summary.checked)


def _run_text(item: Checked, width: int) -> Iterator[str]:
    yield f"{printable(item.name)}: {item.subject.verdict.status.value}"
    if not item.findings and not item.ignored:
        yield wrapped("", item.subject.verdict.text, width, "  ")
    for finding in item.findings:
        yield from _finding_text(finding, width)
    for line in filter(None, (item.ignored, item.not_judged)):
        yield f"  {line}"
    for note in item.notes:
        yield wrapped("note: ", note, width, "  ")


def _finding_text(finding: Finding, width: int) -> Iterator[str]:
    source = finding.site.source
    steps = f"step {finding.first_step}"
    if finding.last_step != finding.first_step:
        steps = f"steps {finding.first_step}-{finding.last_step}"
    where = f"{from_here(source.file)}:{source.line}" if source is not None else finding.site.name
    yield f"  {finding.severity.value:<8} {printable(where)}  {steps}  {finding.rule}"
    yield wrapped("", f"{finding.title}. {finding.summary}", width, _INDENT)
    if source is not None and source.text:
        yield f"{_INDENT}line:  {printable(source.text)}"
    for number, hop in enumerate(finding.why):
        yield wrapped("   <-  " if number else "why:   ", hop.text, width, _INDENT)
    if finding.forecast:
        yield wrapped("next:  ", finding.forecast, width, _INDENT)
    yield wrapped("fix:   ", finding.fix.text, width, _INDENT)
    for sign, code in (("-", finding.fix.before), ("+", finding.fix.after)):
        yield from (f"{_INDENT}       {sign} {printable(line)}" for line in code.splitlines())


# ---- JSON -------------------------------------------------------------------------------------


def as_json(summary: Summary) -> str:
    """One document: the arguments, and each run's verdict and findings as the tab's HTTP API gives them."""
    document = {
        "version": JSON_VERSION,
        "logdir": summary.logdir,
        "fail_on": summary.fail_on,
        "failed": summary.failed,
        "runs": [_run_json(item) for item in summary.checked],
        "problems": [{"run": run, "text": text} for run, text in summary.problems],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _run_json(item: Checked) -> Json:
    return {
        "run": item.subject.run.name,
        "session": item.subject.session.id,
        "worker": item.subject.session.worker,
        "records": len(item.subject.session.steps),
        "first_step": item.subject.session.steps[0],
        "last_step": item.subject.session.steps[-1],
        "notes": list(item.notes),
        "verdict": verdict_view(item.subject.verdict),
        "findings": [finding_view(f, item.subject.ops) for f in item.findings],
        "known": item.known,
        "unselected": item.unselected,
        "earlier_sessions": [session.id for session in item.earlier],
    }


# ---- GitHub -----------------------------------------------------------------------------------

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_github(summary: Summary) -> str:
    """Workflow commands: an annotation for each finding, a notice for each run without one or not judged whole."""
    return "\n".join(line for item in summary.checked for line in _run_annotations(item))


def _run_annotations(item: Checked) -> Iterator[str]:
    for finding in item.findings:
        yield _annotation(item.name, finding)
    healthy = "" if item.findings else item.ignored or item.subject.verdict.text
    for text in filter(None, (healthy, item.not_judged)):
        yield f"::notice title=tb-numstab::{_escaped(f'{item.name}: {text}')}"


def _annotation(run: str, finding: Finding) -> str:
    properties = {"title": f"tb-numstab: {finding.title}"}
    source = finding.site.source
    if source is not None:
        properties |= {"file": from_here(source.file), "line": str(source.line)}
    shown = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items())
    text = f"{finding.summary} {finding.fix.text} (run {run}, step {finding.first_step}, rule {finding.rule})"
    return f"::{_LEVELS[finding.severity]} {shown}::{_escaped(text)}"


def _escaped(text: str) -> str:
    """Text as the message of a workflow command carries it; see command.ts of GitHub's toolkit."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Summary], str]] = {"text": as_text, "json": as_json, "github": as_github}
