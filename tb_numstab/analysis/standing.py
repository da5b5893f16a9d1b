"""The standing rules over a session: which held, where, since when."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tb_numstab.analysis.finding import Finding
from tb_numstab.analysis.graph import OpGraph, Slots
from tb_numstab.analysis.rules import STANDING
from tb_numstab.analysis.rules.rule import Ops, Rule, explain
from tb_numstab.schema.columns import Row


@dataclass
class _Sighting:
    """One rule at one slot: held in ``count`` records since ``first``."""

    first: int
    last: int
    count: int
    text: str
    numbers: dict[str, float]


@dataclass
class Standing:
    """Asks every standing rule about every record and remembers the answers."""

    _streak: dict[str, Slots] = field(default_factory=dict)
    _seen: dict[tuple[str, int], _Sighting] = field(default_factory=dict)

    def feed(self, graph: OpGraph, table: Row, step: int) -> None:
        """Takes in one record."""
        ops: dict[tuple[str, ...], Ops] = {}
        for rule in STANDING:
            if rule.families not in ops:
                ops[rule.families] = Ops(graph, table, graph.members(*rule.families))
            slots = ops[rule.families].slots
            if len(slots):
                held = slots[np.asarray(rule.when(ops[rule.families]), bool)]
                self._count(rule, graph, table, step, held)

    def _count(self, rule: Rule, graph: OpGraph, table: Row, step: int, held: Slots) -> None:
        before = self._streak.get(rule.id, np.zeros(0, np.int64))
        streak = np.zeros(graph.size, np.int64)
        known = held[held < len(before)]
        streak[known] = before[known]
        streak[held] += 1
        self._streak[rule.id] = streak
        for slot in held[streak[held] >= rule.patience]:
            text, numbers = explain(rule.explain, graph, table, int(slot))
            seen = self._seen.get((rule.id, int(slot)))
            if seen is None:
                self._seen[rule.id, int(slot)] = _Sighting(step, step, 1, text, numbers)
            else:
                seen.last, seen.count, seen.text, seen.numbers = step, seen.count + 1, text, numbers

    def findings(self, graph: OpGraph) -> list[Finding]:
        """One finding per rule and source line, about the slot that was seen first."""
        rules = {r.id: r for r in STANDING}
        found: dict[tuple[str, object], Finding] = {}
        for (rule_id, slot), seen in sorted(self._seen.items(), key=lambda item: (item[1].first, item[0][1])):
            site, rule = graph.sites[slot], rules[rule_id]
            key = (rule_id, None if rule.once else site.source or slot)
            if key not in found:
                found[key] = Finding(
                    rule.id, rule.title, rule.severity, rule.certainty, slot, site, seen.first, seen.last,
                    seen.count, seen.text, rule.fix, numbers=seen.numbers,
                )  # fmt: skip
        return list(found.values())
