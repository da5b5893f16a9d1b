"""What other formats would do to the run, and to one op."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from tb_numstab.analysis.precision import CANDIDATES, Advice, Precision, precision_advice
from tb_numstab.analysis.precision_words import advice_text, code, summary
from tb_numstab.analysis.what_if import outcome
from tb_numstab.schema.formats import FORMATS
from tb_numstab.views.json_values import Json
from tb_numstab.views.measure import FORMAT_VIEWS
from tb_numstab.views.subject import Subject

MAX_KEPT = 20
"""Places to keep in float32 that are sent along; where there are more, the format does not fit anyway."""


def precision_view(subject: Subject) -> Json:
    """Advice on every candidate format, by all healthy records of the session together."""
    graph, spread = subject.graph, subject.spread
    out: dict[str, Json] = {
        "run": subject.run.name,
        "session": subject.session.id,
        "records": spread.records,
        "formats": FORMAT_VIEWS,
    }
    if not spread.records:
        nothing = {"summary": ["No healthy step has been recorded yet."], "code": ""}
        return out | nothing | {"computes_in": [], "advice": []}
    found = precision_advice(graph, spread)
    return out | {
        "summary": summary(graph, found),
        "code": code(found),
        "computes_in": [{"format": name, "tensors": count} for name, count in found.tensors_in],
        "advice": [_advice_view(subject, found, advice) for advice in found.advice],
    }


def _advice_view(subject: Subject, found: Precision, advice: Advice) -> Json:
    kept = [{"op": subject.ops.ref(k.slot), "reason": k.reason, "text": k.text} for k in advice.keep[:MAX_KEPT]]
    return {
        "format": advice.fmt.name,
        "verdict": advice.fit.value,
        "text": advice_text(subject.graph, found, advice),
        "parts": [{"part": p.name} | {k: v for k, v in asdict(p).items() if k != "name"} for p in advice.parts],
        "loss_scale": None if advice.loss_scale is None else asdict(advice.loss_scale),
        "keep": {"total": len(advice.keep), "ops": kept},
    }


def op_precision_view(subject: Subject, slot: int) -> Json | None:
    """What each candidate format would make of one op's results; None where they were never measured."""
    graph, spread = subject.graph, subject.spread
    if slot >= len(spread.largest) or np.isnan(spread.largest[slot]) or graph.sites[slot].dtype not in FORMATS:
        return None
    return [_op_view(subject, slot, name) for name in CANDIDATES]


def _op_view(subject: Subject, slot: int, name: str) -> Json:
    found = outcome(subject.graph, subject.spread, np.array([slot]), FORMATS[name])
    whole = max(1.0, float(found.total[0]))
    return {
        "format": name,
        "overflow": float(found.over[0]) / whole,
        "underflow": float(found.zero[0]) / whole,
        "subnormal": float(found.subnormal[0]) / whole,
        "overflows": bool(found.overflows[0]),
    }
