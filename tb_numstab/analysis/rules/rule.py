"""What a rule is: data, with one vectorised precondition over the columns of an op and its operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.forecast import HORIZON
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops


class Stage(Enum):
    """When a rule is asked, and what it looks at."""

    ORIGIN = "origin"  # the op where the first harmful NaN or Inf began
    STANDING = "standing"  # every op in every record
    TREND = "trend"  # every op, over the last records


@dataclass(frozen=True)
class Trend:
    """A quantity that must not reach a limit.

    Attributes:
      value: Ops -> float64 [n], NaN where unknown.
      limit: Ops -> float64 [n], above every healthy value.
      change: how much the value must have risen over the records looked at.
      event: what happens at the limit, for a sentence: "overflows".
      horizon: how far ahead the trend is trusted, as a multiple of the steps it was seen over.
      steady: whether only a straight line counts as a trend.
    """

    value: Callable[[Ops], Floats] = field(repr=False)
    limit: Callable[[Ops], Floats] = field(repr=False)
    change: float
    event: str
    horizon: float = HORIZON
    steady: bool = False


@dataclass(frozen=True)
class Rule:
    """One way an op goes wrong.

    Attributes:
      id: stable name, the anchor in docs/rules.md.
      title: a few words.
      families: families of analysis.families it applies to; () for any op.
      when: Ops of those families -> bool [n].
      precondition: ``where`` and ``when`` in words.
      explain: one sentence with numbers; a format string over ``op``, ``variable``, ``x``, ``y``, ``out``, ``f``
        (the result's limits) and ``n`` (what ``figures`` gives).
      fix: what to change.
      fixes: (precondition, fix) for special forms of the op; the first that holds goes before ``fix``.
      source: where the rule comes from.
      stage: when it is asked.
      blame: the operand and property that explain the event one hop back, such as ``"x.zero"``.
      severity, certainty: of its findings.
      patience: consecutive records in which ``when`` must hold; two are enough when they lie far apart.
      once: one finding per session, about the op that shows it first; else one per source line.
      trend: of a Stage.TREND rule.
      where: of a standing rule, the part of the precondition that the op table alone decides: Ops of those families,
        in no record -> bool [n]. ``when`` is asked about these alone.
      figures: of a standing rule, the numbers and words of ``n`` for the slot at an index of Ops.
    """

    id: str
    title: str
    families: tuple[str, ...]
    when: Callable[[Ops], Mask] = field(repr=False)
    precondition: str
    explain: str
    fix: Fix
    source: str
    fixes: tuple[tuple[Callable[[Ops], Mask], Fix], ...] = field(default=(), repr=False)
    stage: Stage = Stage.ORIGIN
    blame: str = ""
    severity: Severity = Severity.ERROR
    certainty: Certainty = Certainty.EVENT
    patience: int = 1
    once: bool = False
    trend: Trend | None = None
    where: Callable[[Ops], Mask] | None = field(default=None, repr=False)
    figures: Callable[[Ops, int], Mapping[str, float | str]] | None = field(default=None, repr=False)

    @property
    def scope(self) -> object:
        """Equal for rules that are asked about the same slots."""
        return self.families, self.where

    def fix_for(self, op: Ops) -> Fix:
        """The fix that suits one op, given as Ops of one slot."""
        return next((fix for when, fix in self.fixes if bool(when(op)[0])), self.fix)
