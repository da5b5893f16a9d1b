"""Prints docs/rules.md: ``python -m tb_numstab.analysis.rules > docs/rules.md``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from tb_numstab.analysis import bounds
from tb_numstab.analysis.families import FAMILIES
from tb_numstab.analysis.finding import Fix
from tb_numstab.analysis.rules import RULES
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.analysis.standing import LONG

INTRODUCTION = """\
# Rules

<!-- Made by `python -m tb_numstab.analysis.rules > docs/rules.md`; do not edit. -->

A rule looks at the rows of one op: what its operands held and what came out. Each finding says how grave it is and how
sure.

- **error**: the harm is proven or was counted, and it reached a result, a gradient or a variable. **warning**: it has
  not happened yet, or did little so far. **info**: worth knowing.
- *proven* by the exponents alone, an *event* that was counted, or *possible* for the observed ranges.

Silence is part of the rules: -Inf masks, NaN that `tf.where` throws away, epsilons lost beside large values, zero
gradients, converged losses and the retries of a loss scale are no findings.
"""

STAGES = {
    Stage.ORIGIN: (
        "Where NaN or Inf began",
        "Asked about one op: the first that made NaN or Inf out of operands without, on the way to a symptom (a "
        "variable left NaN or Inf, a returned NaN, a returned scalar Inf). The first rule that holds explains it.",
    ),
    Stage.STANDING: (
        "Harm without NaN, and hazards",
        "Asked about every op in every record. One finding per source line; of several warnings about a line only the "
        "most specific one is given, of several hazards on one chain of ops only the last.",
    ),
    Stage.TREND: (
        "What is coming",
        "Asked about the last 16 records: a Theil-Sen slope with a Kendall test, extrapolated to the limit.",
    ),
}


def document() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_contents(), *_rules(), *_bounds()]).rstrip() + "\n"


def _contents() -> Iterator[str]:
    for stage, (title, _) in STAGES.items():
        links = ", ".join(f"[{r.id}](#{r.id})" for r in RULES if r.stage is stage)
        yield f"**{title}**: {links}\n"
    yield "**What exponents prove**: [bounds](#what-exponents-prove)\n"


def _rules() -> Iterator[str]:
    for stage, (title, about) in STAGES.items():
        yield f"## {title}\n\n{about}\n"
        for rule in RULES:
            if rule.stage is stage:
                yield from _rule(rule)


def _rule(rule: Rule) -> Iterator[str]:
    types = [t for family in rule.families for t in FAMILIES[family]]
    yield f"### {rule.id}\n"
    yield f"{rule.title}. *{rule.severity.value}, {rule.certainty.value}*\n"
    yield f"- Ops: {', '.join(f'`{t}`' for t in types) or 'any'}"
    yield f"- When: {rule.precondition}"
    if rule.patience > 1:
        yield f"- Patience: {rule.patience} records on end, or 2 at least {LONG} steps apart"
    yield f"- Source: {rule.source}"
    yield f"- Fix: {rule.fix.text}\n"
    yield from _code(rule.fix)
    for _, fix in rule.fixes:
        yield f"- Or: {fix.text}\n"
        yield from _code(fix)


def _code(fix: Fix) -> Iterator[str]:
    if fix.before or fix.after:
        yield f"```python\n# before\n{fix.before}\n# after\n{fix.after}\n```\n"


def _bounds() -> Iterator[str]:
    about = inspect.getdoc(bounds) or ""
    yield f"## What exponents prove\n\n{about.partition(chr(10) * 2)[2]}\n"
    for _, function in inspect.getmembers(bounds, inspect.isfunction):
        if function.__module__ == bounds.__name__:
            yield "- " + (inspect.getdoc(function) or "").splitlines()[0].replace("``", "`")


if __name__ == "__main__":
    print(document(), end="")
