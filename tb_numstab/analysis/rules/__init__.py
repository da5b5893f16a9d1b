"""The rules, one small file per op family."""

from __future__ import annotations

from tb_numstab.analysis.rules import (
    absorption,
    arithmetic,
    cancellation,
    cast,
    division,
    exp,
    generic,
    hazards,
    learning,
    log,
    loss_scale,
    noise,
    oscillation,
    phase,
    roots,
    softmax,
    swallowed,
    training,
    trends,
    updates,
)
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.analysis.rules.where_trap import WHERE_TRAP

RULES: tuple[Rule, ...] = (
    *log.RULES,
    *exp.RULES,
    *division.RULES,
    *roots.RULES,
    *softmax.RULES,
    *arithmetic.RULES,
    *absorption.RULES,
    *swallowed.RULES,
    *cast.RULES,
    *cancellation.RULES,
    *noise.RULES,
    *phase.RULES,
    *loss_scale.RULES,
    *oscillation.HARMFUL,
    *updates.RULES,
    *trends.RULES,
    *hazards.RULES,
    *training.RULES,
    oscillation.REVERSING,
    *learning.RULES,
    generic.NONFINITE_RECEIVED,
    *generic.SPECIAL,
    *generic.GENERIC,
    WHERE_TRAP,
    generic.NONFINITE_INPUT,
    generic.NONFINITE_VARIABLE,
    generic.ORIGIN_UNKNOWN,
)
"""Every rule. Among origin rules of one op the first that holds explains it."""

STANDING = tuple(r for r in RULES if r.stage is not Stage.ORIGIN)
ORIGIN = tuple(r for r in RULES if r.stage is Stage.ORIGIN)
