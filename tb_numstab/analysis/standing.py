"""The standing rules over a session: which held, where, since when, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tb_numstab.analysis.finding import Finding, Fix
from tb_numstab.analysis.fixes import suited
from tb_numstab.analysis.forecast import Forecast, History, forecast
from tb_numstab.analysis.graph import OpGraph, Slots
from tb_numstab.analysis.memory import Memory
from tb_numstab.analysis.ops import Ops, Scope
from tb_numstab.analysis.rules import STANDING
from tb_numstab.analysis.rules.rule import Rule, Trend
from tb_numstab.schema.columns import WIDTH, Row

LONG = 10
"""Steps after which a second record in a row is patience enough: sparse surveys see few records."""


@dataclass
class _Sighting:
    """One rule at one slot: its fix, what it last said, and in how many records since ``first`` it held."""

    fix: Fix
    first: int
    last: int
    count: int
    text: str
    numbers: dict[str, float]
    forecast: str


@dataclass(frozen=True)
class _Streaks:
    """Where a rule held in the last record, in how many on end, and since which step; int64 [n] each."""

    slots: Slots
    count: Slots
    since: Slots

    def grown(self, held: Slots, step: int) -> _Streaks:
        """After another record, in which the rule held for these slots."""
        count, since = np.ones(len(held), np.int64), np.full(len(held), step)
        _, now, before = np.intersect1d(held, self.slots, assume_unique=True, return_indices=True)
        count[now] += self.count[before]
        since[now] = self.since[before]
        return _Streaks(held, count, since)


_NO_STREAKS = _Streaks(*np.empty((3, 0), np.int64))


@dataclass
class Standing:
    """Asks every standing rule about every record and remembers the answers."""

    _memory: Memory = field(default_factory=Memory)
    _streaks: dict[str, _Streaks] = field(default_factory=dict)
    _histories: dict[str, History] = field(default_factory=dict)
    _seen: dict[tuple[str, int], _Sighting] = field(default_factory=dict)
    _graph: OpGraph | None = None
    _scopes: dict[object, Scope] = field(default_factory=dict)

    def feed(self, graph: OpGraph, table: Row, step: int) -> None:
        """Takes in one record."""
        self._memory.reserve(graph.size)
        self._memory.course.feed(graph, table, step)
        if graph is not self._graph:
            self._graph, self._scopes = graph, self._scopes_of(graph)
        views = {key: Ops(scope, table, self._memory) for key, scope in self._scopes.items()}
        for rule in STANDING:
            ops = views.get(rule.scope)
            if ops is None:
                continue
            if rule.trend is not None:
                for index, ahead in self._rising(rule, rule.trend, ops, step):
                    self._note(rule, ops, index, step, ahead.text(rule.trend.event))
            else:
                for index in self._persisting(rule, ops, step):
                    self._note(rule, ops, index, step, "")
        self._memory.remember(graph, table)

    def _scopes_of(self, graph: OpGraph) -> dict[object, Scope]:
        """What the rules look at, by Rule.scope; most rules apply to no op of a training at all."""
        scopes = {rule.scope: self._scope(graph, rule) for rule in STANDING}
        return {key: scope for key, scope in scopes.items() if len(scope.slots)}

    def _scope(self, graph: OpGraph, rule: Rule) -> Scope:
        """The slots of a rule."""
        whole = Scope.updates(graph) if rule.families == ("update",) else Scope.of(graph, graph.members(*rule.families))
        if rule.where is None:
            return whole
        return whole.only(rule.where(Ops(whole, np.empty((0, WIDTH)), self._memory)))

    def _persisting(self, rule: Rule, ops: Ops, step: int) -> Iterator[int]:
        """Where a rule has held for as many records on end as it asks, or for long enough in two."""
        held = np.flatnonzero(rule.when(ops))
        if not len(held):  # so it is for most rules in most records
            self._streaks.pop(rule.id, None)
            return
        streaks = self._streaks.get(rule.id, _NO_STREAKS).grown(ops.slots[held], step)
        self._streaks[rule.id] = streaks
        patient = (streaks.count >= rule.patience) | ((streaks.count >= 2) & (step - streaks.since >= LONG))
        yield from held[patient].tolist()

    def _rising(self, rule: Rule, trend: Trend, ops: Ops, step: int) -> Iterator[tuple[int, Forecast]]:
        """Where a quantity is on its way to its limit."""
        history = self._histories.setdefault(rule.id, History())
        values = np.full(ops.graph.size, np.nan)  # by slot: a grown op table may add slots between those looked at
        values[ops.slots] = trend.value(ops)
        history.push(step, values)
        held = np.flatnonzero(rule.when(ops))
        if len(held):
            held = held[history.rises(ops.slots[held], trend.change)]
            limit = trend.limit(ops)
            for index in held.tolist():
                series = history.series(int(ops.slots[index]))
                ahead = forecast(*series, float(limit[index]), trend.horizon, trend.steady)
                if ahead is not None:
                    yield index, ahead

    def _note(self, rule: Rule, ops: Ops, index: int, step: int, ahead: str) -> None:
        figures = None if rule.figures is None else rule.figures(ops, index)
        text, numbers = ops.explain(rule.explain, index, figures)
        key = (rule.id, int(ops.slots[index]))
        seen = self._seen.get(key)
        if seen is None:
            fix = rule.fix_for(Ops.of(ops.graph, ops.table, ops.slots[index : index + 1]))
            self._seen[key] = _Sighting(fix, step, step, 1, text, numbers, ahead)
        else:
            seen.last, seen.count, seen.text, seen.numbers, seen.forecast = step, seen.count + 1, text, numbers, ahead

    def findings(self, graph: OpGraph) -> list[Finding]:
        """One finding per rule and cause: about the slot that showed it first, the most upstream one."""
        found: dict[tuple[str, object], Finding] = {}
        for (rule_id, slot), seen in sorted(self._seen.items(), key=lambda item: (item[1].first, item[0][1])):
            rule, site = _RULES[rule_id], graph.sites[slot]
            key = (rule_id, None if rule.once else site.source or slot)
            if key not in found:
                found[key] = _finding(rule, graph, slot, seen)
        return list(found.values())


_RULES = {rule.id: rule for rule in STANDING}


def _finding(rule: Rule, graph: OpGraph, slot: int, seen: _Sighting) -> Finding:
    return Finding(
        rule=rule.id,
        title=rule.title,
        severity=rule.severity,
        certainty=rule.certainty,
        slot=slot,
        site=graph.sites[slot],
        first_step=seen.first,
        last_step=seen.last,
        count=seen.count,
        step=seen.last,
        summary=seen.text,
        fix=suited(seen.fix, graph.sites[slot].dtype),
        forecast=seen.forecast,
        numbers=seen.numbers,
    )
