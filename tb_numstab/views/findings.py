"""Findings and the verdict as JSON."""

from __future__ import annotations

from tb_numstab.analysis.finding import Finding, Verdict
from tb_numstab.views.json_values import Json, plain
from tb_numstab.views.op_index import OpIndex


def finding_view(finding: Finding, ops: OpIndex) -> Json:
    """One finding, with links to the ops it names."""
    return {
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity.value,
        "certainty": finding.certainty.value,
        "op": ops.ref(finding.slot),
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "count": finding.count,
        "step": finding.step,
        "summary": finding.summary,
        "why": [{"op": ops.ref(hop.slot), "step": hop.step, "text": hop.text} for hop in finding.why],
        "fix": {"text": finding.fix.text, "before": finding.fix.before, "after": finding.fix.after},
        "forecast": finding.forecast,
        "numbers": plain(finding.numbers),
    }


def verdict_view(verdict: Verdict) -> Json:
    """The verdict without its finding, which the findings list holds."""
    return {"status": verdict.status.value, "text": verdict.text, "step": verdict.step}
