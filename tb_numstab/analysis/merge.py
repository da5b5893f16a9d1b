"""One finding per cause: what several rules say about one line, or about one chain of ops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tb_numstab.analysis.finding import Finding, Hop, Severity
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.rules import STANDING, hazards
from tb_numstab.schema.ops import Role

_SPECIFIC = {rule.id: rank for rank, rule in enumerate(STANDING)}
_HAZARDS = frozenset(rule.id for rule in hazards.RULES)

CHAIN = ("move", "cast", "neg", "add", "sub", "mul", "square", "sum", "mean", "sqrt", "rsqrt", "clip", "select")
"""What may stand between two hazards of one formula, such as the root of a norm and the division by it."""


def merged(graph: OpGraph, found: Sequence[Finding]) -> list[Finding]:
    """The findings that are left once each line and each chain speaks once.

    An error speaks for the warnings about its line and for the hazards that lead to it. Of warnings about
    one line the most specific one is given, of hazards on one chain the most downstream one: what is to be
    guarded there depends on the rest.
    """
    errors = [f for f in found if f.severity is Severity.ERROR]
    spoken_for = {_line(e) for e in errors}
    others = [f for f in found if f.severity is not Severity.ERROR and _line(f) not in spoken_for]
    return errors + _one_per_chain(graph, errors, _one_per_line(others))


def foreseen(error: Finding, warnings: Sequence[Finding]) -> Finding:
    """An error with what had been said about its line beforehand as the last hop of its chain.

    A hazard of the same op knew the formula it stands in, so its fix is the better one.
    """
    earlier = [w for w in warnings if _line(w) == _line(error) and w.first_step < error.first_step]
    hops = tuple(_warning(w, error.first_step) for w in earlier[:1])
    fix = next((w.fix for w in earlier if w.rule in _HAZARDS and w.slot == error.slot), error.fix)
    return replace(error, why=error.why + hops, fix=fix)


def _warning(finding: Finding, before: int) -> Hop:
    """A warning as a hop; without its numbers where they are no longer those before the step."""
    first, step = finding.first_step, finding.step
    if step >= before:
        return Hop(finding.slot, first, f"warned of since step {first}: {finding.title}")
    since = "" if step == first else f"since step {first}; "
    return Hop(finding.slot, step, f"warned of {since}at step {step}: {finding.summary.removesuffix('.')}")


def _line(finding: Finding) -> object:
    return finding.site.source or finding.slot


def _one_per_line(findings: list[Finding]) -> list[Finding]:
    """The first of them in the order of the rules speaks for all about its line."""
    lines: defaultdict[object, list[Finding]] = defaultdict(list)
    for finding in sorted(findings, key=lambda f: _SPECIFIC[f.rule]):
        lines[_line(finding)].append(finding)
    return [_speaking(same[0], same) for same in lines.values()]


def _one_per_chain(graph: OpGraph, errors: list[Finding], others: list[Finding]) -> list[Finding]:
    """Without the hazards that lead to another hazard or to an error."""
    hazards = [f for f in others if f.rule in _HAZARDS]
    through = graph.mask(*CHAIN) & graph.role(Role.FORWARD)
    upstream: dict[int, list[Finding]] = {}
    for last in errors + hazards if hazards else []:
        end = graph.as_mask([last.slot])
        before = graph.feeding(end, through | end)
        upstream[last.slot] = [h for h in hazards if before[h.slot] and h.slot < last.slot]
    passed_over = {h.slot for chain in upstream.values() for h in chain}
    return [
        _speaking(f, [f, *upstream[f.slot]]) if f.rule in _HAZARDS else f
        for f in others
        if f.rule not in _HAZARDS or f.slot not in passed_over
    ]


def _speaking(finding: Finding, same: list[Finding]) -> Finding:
    """A finding that stands for others, itself among them."""
    return replace(
        finding,
        first_step=min(f.first_step for f in same),
        last_step=max(f.last_step for f in same),
        count=max(f.count for f in same),
        forecast=next((f.forecast for f in same if f.forecast), ""),
    )
