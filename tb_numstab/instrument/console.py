"""What a user sees while training runs: a line for each new finding, or the exception they asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tb_numstab.analysis.finding import Finding, Severity
from tb_numstab.analysis.narrate import place
from tb_numstab.instrument.host import log

MAX_LINES = 20
"""Lines per run; the tab and the report hold the rest."""

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.INFO: logging.INFO}


class NonFiniteError(ArithmeticError):
    """Training produced NaN or Inf, and ``on_nonfinite="raise"`` asked for an exception.

    Attributes:
      finding: where it began, why, and what to change.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(line_about(finding))
        self.finding = finding


class Console:
    """Says each thing once."""

    def __init__(self) -> None:
        self._said: set[tuple[str, int]] = set()

    def say(self, findings: Iterable[Finding]) -> None:
        """Logs the findings that were not said before, one line each."""
        for finding in findings:
            key = finding.rule, finding.slot
            if key in self._said:
                continue
            self._said.add(key)
            if len(self._said) <= MAX_LINES:
                log.log(_LEVELS[finding.severity], "tb_numstab: %s", line_about(finding))
            elif len(self._said) == MAX_LINES + 1:
                log.warning("tb_numstab: further findings are in the log: open it in TensorBoard")


def line_about(finding: Finding) -> str:
    """A finding in one line: step, severity, where, what, and what to change."""
    where = finding.site.source or place(finding.site)
    return f"step {finding.first_step}: {finding.severity.value} at {where}: {finding.summary} {finding.fix.text}"
