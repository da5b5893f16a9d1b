"""Operands of very different scale: which meet where, how far apart, and what that does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.interactions import DOTS, PRODUCTS, QUOTIENTS, SUMS, Interaction, interactions
from tb_numstab.schema.record import StepRecord
from tb_numstab.views.json_values import Json, plain
from tb_numstab.views.measure import FORMAT_VIEWS, measure_view
from tb_numstab.views.op_page import shown_step
from tb_numstab.views.subject import NotInData, Subject

MAX_INTERACTIONS = 100
"""Rows sent at once; ``first`` asks for later ones."""


KINDS = {"sum": SUMS, "product": PRODUCTS, "quotient": QUOTIENTS, "dot": DOTS, "update": ("update",)}
"""The arithmetic in which operands meet, as families of op types; "dot" sums products."""


@dataclass(frozen=True)
class Filter:
    """Which interactions to list; None lists all.

    Attributes:
      kind: a key of KINDS.
      effect: what the gap did or can do: ``"absorbed"``, ``"cancelled"``, ``"vanishes"``,
        ``"overflows"`` or ``"none"``.
      certainty: ``"proven"``, ``"event"`` or ``"possible"``.
    """

    kind: str | None = None
    effect: str | None = None
    certainty: str | None = None

    def takes(self, kind: str, interaction: Interaction) -> bool:
        """Whether an interaction of that kind is listed."""
        return (
            self.kind in (None, kind)
            and self.effect in (None, interaction.effect)
            and self.certainty in (None, interaction.certainty.value)
        )


def interactions_view(
    subject: Subject, asked_step: int | None = None, only: Filter | None = None, first: int = 0
) -> Json:
    """The interactions of one step, the proven ones first, each with the ranges that meet.

    Args:
      subject: the session.
      asked_step: as for the op page; by default the step of the verdict.
      only: what to list.
      first: how many to skip.

    Raises:
      NotInData: no record yet.
    """
    if not subject.session.steps:
        raise NotInData("No step has been recorded yet.")
    step = shown_step(subject, subject.verdict.step if asked_step is None else asked_step)
    record = subject.session.record(step)
    found = interactions(subject.graph, subject.graph.table(record))
    kinds = _kinds(subject.graph)
    listed = [i for i in found if (only or Filter()).takes(kinds[i.slot], i)]
    first = max(0, first)
    return {
        "run": subject.run.name,
        "session": subject.session.id,
        "step": step,
        "asked_step": step if asked_step is None else asked_step,
        "steps": subject.session.steps,
        "counts": [
            {"kind": kind, "effect": effect, "certainty": certainty.value, "count": count}
            for (kind, effect, certainty), count in Counter(
                (kinds[i.slot], i.effect, i.certainty) for i in found
            ).items()
        ],
        "total": len(listed),
        "first": first,
        "formats": FORMAT_VIEWS,
        "interactions": [
            _view(subject, record, i) | {"kind": kinds[i.slot]} for i in listed[first : first + MAX_INTERACTIONS]
        ],
    }


def _kinds(graph: OpGraph) -> dict[int, str]:
    """The kind of every slot that has one."""
    return {slot: kind for kind, families in KINDS.items() for slot in graph.members(*families).tolist()}


def _view(subject: Subject, record: StepRecord, found: Interaction) -> Json:
    def tensor(slot: int) -> Json:
        return {
            "op": subject.ops.ref(slot),
            "measure": measure_view(record, slot, subject.session.table[slot]),
        }

    return {
        "op": subject.ops.ref(found.slot),
        "operands": [tensor(found.x), tensor(found.y)],
        "gap": plain(found.gap),
        "effect": found.effect,
        "certainty": found.certainty.value,
        "affected": plain(found.affected),
        "reaches": found.reaches,
        "expected": found.expected,
        "text": found.text,
    }
