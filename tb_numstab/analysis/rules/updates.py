"""Updates of variables that are lost: the change is below half a unit in the last place."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis.columns import Columns, Floats, Pick
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask, Slots
from tb_numstab.analysis.memory import LOST
from tb_numstab.analysis.ops import Ops, Scope
from tb_numstab.analysis.patterns import never
from tb_numstab.analysis.rules.cancellation import lost_steps
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

NEAR = 6
"""Bits below the last place within which a change of unknown make is still meant to move its variable."""

MEANT = 10
"""Bits a gradient may be smaller than its variable and still be meant to move it."""


def _trained(o: Ops) -> Mask:
    return o.among(o.graph.trainable)


def _share(o: Ops) -> Floats:
    """Absorbed share of the elements that a non-zero change should have moved."""
    return np.asarray(o.out.absorbed / o.out.operands, np.float64)


def _exponent(o: Ops) -> Floats:
    """Exponent of the largest element before the update; where that was not measured, as last seen."""
    return np.where(np.isnan(o.x.max_exp), o.memory.value_exp[o.slots], o.x.max_exp)


def _gap(o: Ops) -> Floats:
    """Bits between the largest old value and the largest change."""
    return np.asarray(_exponent(o) - o.y.max_exp, np.float64)


def _factors(s: Scope) -> tuple[Slots, Slots]:
    """The factors of each change that is a product; -1 for any other change."""
    g = s.graph
    products = g.mask("mul")[s.y.slots] & (s.y.slots >= 0)
    return np.where(products, g.x[s.y.slots], -1), np.where(products, g.y[s.y.slots], -1)


def _gradients(s: Scope) -> Pick:
    """The gradient of each change that is learning rate times gradient; -1 for any other change."""
    after = s.graph.role(Role.GRADIENT, Role.OPTIMIZER)
    x, y = _factors(s)
    return Pick(np.where((x >= 0) & after[x], x, np.where((y >= 0) & after[y], y, -1)))


def _meant(o: Ops) -> Mask:
    """The change would matter if it were kept: the gradient behind it has not vanished.

    A converged model's updates vanish with its gradients, and losing those loses nothing. Where the
    change is learning rate times gradient, the gradient itself is compared with the variable.
    """
    size = Columns.of(o.table, o.scope.fact(_gradients)).max_exp
    near = _gap(o) <= o.precision + NEAR
    return np.where(np.isnan(size), near, size >= _exponent(o) - MEANT)


def _everything_lost(o: Ops) -> bool:
    """Nearly all non-zero updates of all trained variables are absorbed."""
    absorbed, operands = np.nansum(o.out.absorbed), np.nansum(o.out.operands)
    return bool(operands > 0 and absorbed >= LOST * operands)


def _never_moved(o: Ops) -> Mask:
    """All updates of a trained variable were lost from the first record on.

    In float32 and wider a change of half an ulp is too small to matter soon, so there every trained
    variable must stand still.
    """
    lost = np.asarray((_share(o) >= LOST) & np.isnan(o.memory.moved_exp[o.slots]))
    if not lost.any():
        return lost
    return np.asarray(lost & (o.low_precision | _everything_lost(o)) & _meant(o))


def _average_never_moved(o: Ops) -> Mask:
    """A variable that is not trained, such as an average of the weights, follows nothing from the first record on.

    Its change is a small factor times a difference that is not small against the variable.
    """
    x, y = o.scope.fact(_factors)
    difference = np.fmax(Columns.of(o.table, x).max_exp, Columns.of(o.table, y).max_exp)
    still = (_share(o) >= LOST) & np.isnan(o.memory.moved_exp[o.slots])
    return np.asarray(still & (difference >= _exponent(o) - MEANT))


def _vanished_factor(o: Ops) -> Mask:
    """The op that makes every update of every trained variable 0, out of operands that are not."""
    u, trainable = o.graph.updates, o.graph.trainable
    trained = u.slots[trainable[u.slots]]
    change = Columns.of(o.table, u.change[trainable[u.slots]])
    if not len(trained) or not (change.zero == change.size).all() or not np.isnan(o.memory.moved_exp[trained]).all():
        return never(o)
    blamed = {_vanishes_at(o, int(s)) for s in u.change[trainable[u.slots]]}
    known = -1 not in blamed and not any(lost_steps(o, s) for s in blamed)
    return o.among(o.graph.as_mask(blamed if known else ()))


def _vanishes_at(o: Ops, slot: int) -> int:
    """The slot whose all-zero result the all-zero ``slot`` comes from; -1 where a gradient or a leaf is 0 itself."""
    rows = Columns(o.table)
    while True:
        site = o.graph.sites[slot]
        inputs = o.graph.inputs(slot)
        if site.role not in (Role.FORWARD, Role.OPTIMIZER) or not len(inputs):
            return -1
        zero = inputs[(rows.zero[inputs] == rows.size[inputs]) & (inputs < slot)]
        if not len(zero):
            return slot if (rows.max_exp[inputs] >= -MEANT).all() else -1
        slot = int(zero[0])


def _stopped(o: Ops) -> Mask:
    """A variable has grown past a power of two, and now changes that moved it before are lost."""
    grew = o.out.max_exp > o.memory.moved_from_exp[o.slots]
    return np.asarray((_share(o) >= LOST) & grew & (o.y.max_exp >= o.memory.moved_exp[o.slots] - 1))


_STOOD_STILL = (
    "{op} left {out.absorbed:,.0f} of {out.operands:,.0f} elements of {variable} as they were: "
    "changes up to {y.top} vanish beside values of {out.top} in {f.name} ({f.precision} bits)."
)

_FIX = Fix(
    "Keep the variable in a wider format (float32 master weights), or make the update larger.",
    "w = tf.Variable(init, dtype=narrow)",
    "w = tf.Variable(init, dtype=tf.float32)  # compute in the narrow format: keras.mixed_precision",
)

RULES = (
    Rule(
        id="update-lost",
        title="Every update of a variable is lost",
        families=("update",),
        where=_trained,
        when=_never_moved,
        precondition="at least 95 % of the elements with a non-zero change keep their bits, since the first record, "
        "although the gradient is not small against the variable",
        explain=_STOOD_STILL,
        fix=_FIX,
        source="Micikevicius et al. 2018 (mixed precision); pytorch/ao#1124; kyegomez/SingLoRA#6",
        stage=Stage.STANDING,
        patience=3,
        once=True,
    ),
    Rule(
        id="average-lost",
        title="A variable that follows others never moves",
        families=("update",),
        where=lambda o: ~_trained(o) & o.low_precision,
        when=_average_never_moved,
        precondition="in float16, bfloat16 or narrower at least 95 % of the elements of a variable that is not trained "
        "keep their bits, since the first record; the change is a factor times values that are not small against it",
        explain=_STOOD_STILL,
        fix=Fix(
            "Keep the average in float32.",
            "average = tf.Variable(tf.cast(w, tf.float16), trainable=False)",
            "average = tf.Variable(tf.cast(w, tf.float32), trainable=False)",
        ),
        source="d8ahazard/sd_dreambooth_extension#1415",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="update-is-zero",
        title="Every update of every variable is zero",
        families=("add", "sub", "mul", "div", "div-no-nan", "pow", "cast"),  # log(1) is 0 as well, and right
        when=_vanished_factor,
        precondition="since the first record the changes of all trained variables are 0 in every element, although "
        "neither a gradient nor the learning rate is: the sum, product, quotient, power or Cast is named that gave 0 "
        "out of operands that are not",
        explain="{op} gives 0 in {out.zero:,.0f} of {out.size:,.0f} elements from operands up to {x.top} and {y.top} "
        "({f.name}, {f.precision} bits), and every update is multiplied by it: no weight has moved.",
        fix=Fix(
            "Find why it is 0. In bfloat16, 0.999 is 1 and so 1 - beta_2 ** t is 0: keep variables and optimizer in "
            "float32.",
            'keras.layers.Dense(32, dtype="bfloat16")',
            'keras.layers.Dense(32, dtype="mixed_bfloat16")',
        ),
        source="tensorflow/tensorflow#58138",
        stage=Stage.STANDING,
        patience=3,
        once=True,
    ),
    Rule(
        id="update-stopped",
        title="A variable has grown until its updates are lost",
        families=("update",),
        when=_stopped,
        precondition="at least 95 % of the elements with a non-zero change keep their bits, although changes of this "
        "size moved the variable when it was smaller",
        explain="{op} no longer changes {variable}: it stands at {out.top} (largest {out.magnitude:.5g}), "
        "and a change of {y.top} is below half a unit in its last place ({f.name}, {f.precision} bits).",
        fix=Fix(
            "Count and accumulate in an integer or a wider format.",
            "n = tf.Variable(0.0, dtype=tf.float16)",
            "n = tf.Variable(0, dtype=tf.int64)",
        ),
        source="tensorflow/tensorflow#115732; float16 stops at 2048, bfloat16 at 256, float32 at 2^24",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="update-mostly-lost",
        title="Most of a variable's updates are lost",
        families=("update",),
        where=lambda o: _trained(o) & o.low_precision,
        when=lambda o: (_share(o) >= 0.5) & (_share(o) < LOST) & _meant(o),
        precondition="a trained variable in float16, bfloat16 or narrower keeps the bits of at least half the elements "
        "with a non-zero change",
        explain="{op} left {out.absorbed:,.0f} of {out.operands:,.0f} elements of {variable} as they were: "
        "{f.name} keeps {f.precision} significant bits.",
        fix=_FIX,
        source="Micikevicius et al. 2018 (mixed precision)",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        patience=5,
        once=True,
    ),
    Rule(
        id="update-exceeds-variable",
        title="Updates are much larger than the variable",
        families=("update",),
        where=lambda o: _trained(o) & o.among(o.graph.matrix),
        when=lambda o: _gap(o) <= -3,
        precondition="in two records on end the largest change of a trained matrix is at least 8 times its largest "
        "element before",
        explain="{op} changes {variable} by up to {y.top} in one step; its largest element is then "
        "{out.magnitude:.3g}.",
        fix=Fix(
            "Lower the learning rate, scale the inputs, or clip the gradients.",
            "keras.optimizers.SGD(1e-1)",
            "keras.optimizers.SGD(1e-2, global_clipnorm=1.0)",
        ),
        source="MindInsight and TensorFlow debugger practice: |update|/|weight| of 1e-3 is usual, above 1e-1 too large",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
        patience=2,
        once=True,
    ),
)
