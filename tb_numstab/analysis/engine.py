"""The analysis: op table and records in, findings and verdict out. Streams; linear in measured cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.finding import Certainty, Finding, Severity, Status, Verdict
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.headroom import Headroom, grown
from tb_numstab.analysis.interactions import Interaction, interactions
from tb_numstab.analysis.merge import foreseen, merged
from tb_numstab.analysis.narrate import counted, dated, place
from tb_numstab.analysis.origin import Origin, Source, find_origin, has_symptoms
from tb_numstab.analysis.origin_finding import (
    origin_finding,
    recorded_origin_finding,
    unknown_origin_finding,
)
from tb_numstab.analysis.standing import Standing
from tb_numstab.schema.columns import Row
from tb_numstab.schema.names import NOT_REPRODUCED
from tb_numstab.schema.ops import OpSite
from tb_numstab.schema.record import StepRecord
from tb_numstab.store.run_data import Session

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


class Engine:
    """Judges one session record by record, live or from a log."""

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.headroom = Headroom()
        self._sites: list[OpSite] = []
        self._graph: OpGraph | None = None
        self._origin_finding: Finding | None = None
        self._unknown: Finding | None = None  # about a bad step that stayed finite when it was measured
        self._standing = Standing()
        self._clean: tuple[int, Row] | None = None  # step and table of the last record without symptoms
        self._step = 0
        self._records = 0

    def extend(self, sites: Sequence[OpSite]) -> None:
        """Appends to the op table; slots go on where it ended."""
        if sites:
            self._sites.extend(sites)
            self._graph = None

    @property
    def graph(self) -> OpGraph:
        """The op table so far."""
        if self._graph is None:
            self._graph = OpGraph(self._sites)
        return self._graph

    @np.errstate(all="ignore")  # a damaged log may hold any number
    def feed(self, record: StepRecord) -> None:
        """Judges one record. Records come in step order; a replay may come one step late."""
        graph = self.graph
        table = graph.table(record)
        self._records += 1
        self._step = max(self._step, record.step)
        self.headroom.feed(graph, table)
        if has_symptoms(graph, table):
            # Once something is NaN, everything else in the record is its consequence.
            self._take_bad_step(graph, table, record)
            return
        if NOT_REPRODUCED in record.notes:
            again = self._unknown and replace(self._unknown, last_step=record.step, count=self._unknown.count + 1)
            self._unknown = again or unknown_origin_finding(graph, table, record.step)
        self._standing.feed(graph, table, record.step)
        self._clean = record.step, table

    def _take_bad_step(self, graph: OpGraph, table: Row, record: StepRecord) -> None:
        """Finds the session's origin; of a step after it only the count is kept."""
        known = self._origin_finding
        if self.origin is not None and known is not None and record.step > self.origin.step:
            self._origin_finding = replace(known, last_step=record.step, count=known.count + 1)
            return
        origin = find_origin(graph, table, record.step)
        if origin is None:
            return
        first = record.first_nonfinite
        if origin.source is Source.VARIABLE and first is not None and first[0] < record.step and first[1] < graph.size:
            self.origin = Origin(first[0], first[1], Source.OP, (first[1],), origin.symptoms)
            found = recorded_origin_finding(graph, self.origin, record.step)
        else:
            self.origin = origin
            found = origin_finding(graph, table, origin, self._clean)
        if known is not None:  # a replay of an earlier step came late
            found = replace(found, last_step=known.last_step, count=known.count + 1)
        self._origin_finding = found

    def _headline(self) -> Finding | None:
        """The finding about the first NaN or Inf.

        A variable that is NaN after a step whose origin is unknown went bad in that step.
        """
        known, unknown = self._origin_finding, self._unknown
        if unknown is None or known is None:
            return known or unknown
        if self.origin is None or self.origin.source is not Source.VARIABLE:
            return known
        if unknown.certainty is Certainty.EVENT:  # it names no cause
            unknown = replace(unknown, slot=known.slot, site=known.site, why=known.why)
        return replace(unknown, last_step=known.last_step, count=1 + known.count)

    def findings(self) -> list[Finding]:
        """Every finding, the most harmful first."""
        found = self._standing.findings(self.graph)
        origin = self._headline()
        origin = origin and foreseen(origin, found)
        found = merged(self.graph, [*found, origin] if origin else found)
        ranked = sorted(found, key=lambda f: (_RANK[f.severity], f is not origin, f.first_step, f.slot))
        return [dated(finding) for finding in ranked]

    def verdict(self) -> Verdict:
        """The session in one sentence."""
        findings = self.findings()
        worst = findings[0] if findings else None
        if worst is None or worst.severity is Severity.INFO:
            return Verdict(Status.HEALTHY, _healthy_text(self._records, len(self._sites)), self._step)
        status = Status.BROKEN if worst.severity is Severity.ERROR else Status.AT_RISK
        when = "at" if worst.first_step == worst.last_step else "since"
        text = f"{worst.title} {when} step {worst.first_step}, {place(worst.site)}. {worst.summary}"
        return Verdict(status, text, worst.first_step, worst)


def _healthy_text(records: int, slots: int) -> str:
    if not records:
        return "No step has been measured."
    return f"No numerical problem in {counted(records, 'measured step')} of {counted(slots, 'tensor')}."


@dataclass(frozen=True)
class Analysis:
    """What a whole session's analysis gives.

    Attributes:
      findings: the most harmful first.
      verdict: the session in one sentence.
      origin: where the first harmful NaN or Inf began, None when nothing did.
      headroom_up, headroom_down: float64 [N], bits from each slot's largest magnitude to overflow and
        from its smallest non-zero one to the smallest normal number, in the last record; NaN where
        unknown.
      worst_up, worst_down: float64 [N], the least of these over all records.
      interactions: operands of very different scale in the last record, the proven ones first.
    """

    findings: list[Finding]
    verdict: Verdict
    origin: Origin | None
    headroom_up: Floats
    headroom_down: Floats
    worst_up: Floats
    worst_down: Floats
    interactions: list[Interaction]


def analyse(session: Session) -> Analysis:
    """Judges everything a session logged."""
    engine = Engine()
    engine.extend(session.table)
    record = None
    for record in session.records():
        engine.feed(record)
    graph, headroom = engine.graph, engine.headroom
    size = graph.size
    return Analysis(
        findings=engine.findings(),
        verdict=engine.verdict(),
        origin=engine.origin,
        headroom_up=grown(headroom.up, size),
        headroom_down=grown(headroom.down, size),
        worst_up=grown(headroom.worst_up, size),
        worst_down=grown(headroom.worst_down, size),
        interactions=[] if record is None else interactions(graph, graph.table(record)),
    )
