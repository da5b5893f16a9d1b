"""What the analysis says: findings, the chain from symptom to cause, the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tb_numstab.schema.ops import OpSite


class Severity(Enum):
    """ERROR needs a proof or an event that reached loss, gradients or variables."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Certainty(Enum):
    """How sure a finding is: proven by arithmetic, counted, or possible for the observed ranges."""

    PROVEN = "proven"
    EVENT = "event"
    POSSIBLE = "possible"


@dataclass(frozen=True)
class Hop:
    """One link of a cause chain: what one op did at one step, with its number."""

    slot: int
    step: int
    text: str


@dataclass(frozen=True)
class Fix:
    """What to change: a sentence and a TensorFlow idiom, before and after."""

    text: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or about to be.

    Attributes:
      rule: id of the rule, for example ``"log-of-zero"``; the anchor in docs/rules.md.
      title: a few words.
      severity, certainty: see the enums.
      slot: the slot it is about; ``site`` is its entry in the op table.
      first_step, last_step, count: when it was seen, and in how many records.
      step: the step of the numbers in ``summary``: where NaN or Inf began, or where a warning was last seen.
      summary: one sentence with the numbers.
      why: from symptom to cause.
      fix: what to change.
      forecast: what comes next, or "".
      numbers: the figures behind the summary, by name (JSON-safe floats).
    """

    rule: str
    title: str
    severity: Severity
    certainty: Certainty
    slot: int
    site: OpSite
    first_step: int
    last_step: int
    count: int
    step: int
    summary: str
    fix: Fix
    why: tuple[Hop, ...] = ()
    forecast: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


class Status(Enum):
    """The run in one word."""

    HEALTHY = "healthy"
    AT_RISK = "at risk"
    BROKEN = "broken"


@dataclass(frozen=True)
class Verdict:
    """The run in one sentence.

    Attributes:
      status: BROKEN once an ERROR finding stands; AT_RISK with a WARNING; else HEALTHY.
      text: one sentence naming op, line and step.
      step: the step it broke at, or the last step seen.
      finding: the finding behind it, None when healthy.
    """

    status: Status
    text: str
    step: int
    finding: Finding | None = None
