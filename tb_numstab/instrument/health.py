"""StepHealth: what log_step answers."""

from __future__ import annotations

from dataclasses import dataclass

from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.analysis.origin import Origin


@dataclass(frozen=True)
class StepHealth:
    """What is known after a step.

    Attributes:
      step: the step that was logged.
      measured: whether this step was measured; if not, the rest is as of the last one that was.
      ok: no finding of severity "error" stands.
      findings: all findings so far, the most harmful first.
      origin: where the first NaN or Inf began; None while there is none.
      verdict: the run in one sentence.
    """

    step: int
    measured: bool
    ok: bool
    findings: tuple[Finding, ...]
    origin: Origin | None
    verdict: Verdict
