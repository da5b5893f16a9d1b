"""Subtractions whose result is nothing but the operands' rounding errors."""

from __future__ import annotations

import numpy as np

from tb_numstab.analysis import bounds
from tb_numstab.analysis.columns import Columns, Floats
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask, OpGraph
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

SLACK = 3
"""Bits short of the whole significand from which a difference counts as lost."""

GUARDS = ("clip", "add", "mul", "move", "cast", "select", "neg")
"""What may stand between a difference and the op that suffers: a clip, an epsilon, a factor."""


def lost_bits(o: Ops) -> Floats:
    """Leading bits that every element of a sum has lost, float64 [n].

    A result of zeros alone has lost all of them, unless the operands are zeros already.
    """
    all_zero = o.out.exact & (o.out.zero == o.out.size) & (o.x.nonzero > 0) & (o.y.nonzero > 0)
    return np.where(all_zero, o.precision, bounds.lost_bits(o.x.lower_exp, o.y.lower_exp, o.out.upper_exp))


def rounded_slots(graph: OpGraph) -> Mask:
    """Slots whose values carry a rounding error: computed, not given."""
    exact = graph.mask("move", "clip", "select", "cast", "neg", "extremum")
    return graph.role(Role.FORWARD, Role.GRADIENT, Role.OPTIMIZER) & ~exact


def of_rounded(o: Ops) -> Mask:
    """Both operands carry a rounding error."""
    rounded = rounded_slots(o.graph)
    return o.x_among(rounded) & o.y_among(rounded)


def meaningless(o: Ops) -> Mask:
    """Every element of a difference has lost its whole significand."""
    return np.asarray((o.out.size > 0) & (lost_bits(o) >= o.precision - SLACK))


def _narrowing(graph: OpGraph) -> Mask:
    """Bool [N]: casts to a narrower format. Integers are not measured: such a Cast has no operand."""
    narrows = (graph.x < 0) | (graph.precision[graph.x] > graph.precision)
    return np.asarray(graph.mask("cast") & graph.role(Role.FORWARD) & narrows)


def _of_casts(o: Ops, casts: Mask) -> Mask:
    """Both operands are what ``casts``, bool [N], gave, or parts, averages and extremes of it."""
    handed_on = o.graph.carrying(casts, o.graph.mask("move", "neg", "clip", "extremum", "mean"))
    return o.x_among(handed_on) & o.y_among(handed_on)


def _of_rounded_numbers(o: Ops) -> Mask:
    """Both operands are numbers so large that a Cast has rounded them to neighbours 2 or more apart."""
    large = Columns(o.table).max_exp >= o.graph.precision
    return _of_casts(o, _narrowing(o.graph) & large)


def _between_casts(o: Ops) -> Mask:
    return _of_casts(o, _narrowing(o.graph)) & o.among(o.graph.reaches_result)


def _denominator_like(graph: OpGraph) -> Mask:
    """Slots that a division, a root or a logarithm depends on in relative terms."""
    return graph.as_mask(graph.y[graph.members("div", "div-no-nan")]) | graph.as_mask(
        graph.x[graph.members("reciprocal", "rsqrt", "sqrt", "log")]
    )


def feeds_pole(o: Ops) -> Mask:
    graph = o.graph
    return o.among(graph.feeding(_denominator_like(graph), graph.mask(*GUARDS)))


def lost_steps(o: Ops, slot: int) -> list[int]:
    """Sums that lost an operand in every element, behind one side of a difference that is 0, not behind the other.

    So f(x + h) - f(x) is 0 where x + h is x. An epsilon below a fraction, root or logarithm is meant to be lost.
    """
    g, rows = o.graph, Columns(o.table)
    x, y = int(g.x[slot]), int(g.y[slot])
    alike = g.family(slot) == "sub" and x >= 0 and y >= 0 and g.sites[x].op_type == g.sites[y].op_type
    if not alike or not rows.zero[slot] == rows.size[slot]:
        return []
    lost = g.mask("add", "sub") & (rows.absorbed == rows.operands) & (rows.operands > 0) & g.role(Role.FORWARD)
    lost &= ~g.feeding(_denominator_like(g), g.mask(*GUARDS))
    if not lost.any():
        return []
    behind_x, behind_y = (g.feeding(g.as_mask([side]), g.role(Role.FORWARD), g.size) for side in (x, y))
    return [int(s) for s in np.flatnonzero(lost & (behind_x ^ behind_y))]


def _step_is_lost(o: Ops) -> Mask:
    """The step of a finite difference changes nothing, and so the difference is 0."""
    g, rows = o.graph, Columns(o.table)
    zero = g.mask("sub") & g.role(Role.FORWARD) & (rows.zero == rows.size) & (rows.size > 0) & g.reaches_result
    return o.among(g.as_mask([s for slot in np.flatnonzero(zero) for s in lost_steps(o, int(slot))]))


def _formula_minus_literal(o: Ops) -> Mask:
    g = o.graph
    of_arithmetic = o.x_among(g.mask("add", "sub", "exp", "hyperbolic", "sqrt", "mul", "div"))
    literal = o.y_among(g.role(Role.CONSTANT))
    return of_arithmetic & literal & o.among(g.role(Role.FORWARD) & g.reaches_result)


def _small_terms_lost(o: Ops) -> Mask:
    """All that is left of a formula minus a literal is 0, in every element, though what goes into it varies.

    exp(x) - x - 1 is x^2 / 2, and 0 where that is below the last place of 1. What goes in must be larger than
    the square root of the last place, so that noise around 0 is not meant.
    """
    g = o.graph
    zero = (o.out.size > 1) & (o.out.zero == o.out.size)
    left = Columns.of(o.table, np.where(o.x_slots >= 0, g.x[o.x_slots], -1))
    right = Columns.of(o.table, np.where(o.x_slots >= 0, g.y[o.x_slots], -1))
    varies = (left.min < left.max) & ~(right.min == right.max)
    meant = np.fmin(left.max_exp, right.max_exp) >= -o.precision / 2 - 2
    return np.asarray((o.y.nonzero > 0) & zero & varies & meant)


def squares(graph: OpGraph) -> Mask:
    """Bool [N]: x^2, written as Square, as a power, or as x * x."""
    return np.asarray(graph.mask("square", "pow") | (graph.mask("mul") & (graph.x == graph.y)))


def is_variance(o: Ops) -> Mask:
    """E[x^2] - E[x]^2: a mean (or sum) of squares minus a square."""
    graph = o.graph
    pass_on = graph.mask("move", "mul", "div", "neg")
    averages = graph.carrying(graph.mask("mean", "sum"), pass_on)
    return np.asarray(o.x_among(averages) & o.y_among(graph.carrying(squares(graph), pass_on)))


_FROM_A_NEAR_ORIGIN = Fix(
    "Subtract as integers or in float64, and cast the difference.",
    "seconds = tf.cast(time, tf.float32)\nseconds[1:] - seconds[:-1]",
    "tf.cast(time[1:] - time[:-1], tf.float32)",
)

_TWO_PASS = Fix(
    "Subtract the mean before squaring.",
    "tf.reduce_mean(tf.square(x), 0) - tf.square(tf.reduce_mean(x, 0))",
    "tf.reduce_mean(tf.square(x - tf.reduce_mean(x, 0)), 0)  # or tf.nn.moments(x, 0)",
)

RULES = (
    Rule(
        id="one-pass-variance",
        title="Variance as E[x^2] - E[x]^2 has cancelled",
        families=("sub",),
        where=lambda o: is_variance(o) & of_rounded(o),
        when=meaningless,
        precondition="the difference of a mean of squares and a squared mean has lost its whole significand, in every "
        "element",
        explain="{op} subtracted values up to {y.top} from values up to {x.top} and kept at most "
        "{out.top}: with {f.precision} significant bits that is rounding error.",
        fix=_TWO_PASS,
        source="Chan, Golub, LeVeque 1983; k2-fsa/sherpa-onnx#3857; tensorflow/tensorflow#25115",
        stage=Stage.STANDING,
        certainty=Certainty.PROVEN,
        patience=3,
    ),
    Rule(
        id="one-pass-variance-possible",
        title="Variance as E[x^2] - E[x]^2 loses half its digits",
        families=("sub",),
        where=is_variance,
        when=lambda o: lost_bits(o) >= o.precision / 2,
        precondition="the difference of a mean of squares and a squared mean has lost half its significand or more, in "
        "every element",
        explain="{op} subtracted values up to {y.top} from values up to {x.top} and kept at most {out.top} of "
        "{f.precision} significant bits; a larger mean leaves rounding error, which can be negative.",
        fix=_TWO_PASS,
        source="Chan, Golub, LeVeque 1983; tensorflow/tensorflow#3290; google/flax#1491",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        patience=2,
    ),
    Rule(
        id="difference-of-rounded-numbers",
        title="A difference of numbers too large for the format",
        families=("sub",),
        where=_between_casts,
        when=lambda o: _of_rounded_numbers(o) & (lost_bits(o) >= o.precision - SLACK),
        precondition="both operands come from a Cast of integers (or of a wider format) beyond 2^p (p significant "
        "bits), and in every element all but 3 bits cancel: what is left is the rounding of the Cast",
        explain="{op} subtracted numbers up to {x.top} and kept at most {out.top}: a Cast to {f.name} had "
        "rounded them, which holds whole numbers exactly up to 2^{f.precision} only.",
        fix=_FROM_A_NEAR_ORIGIN,
        source="open-mmlab/mmdetection3d#296; facebookresearch/fairo#537",
        stage=Stage.STANDING,
        patience=2,
    ),
    Rule(
        id="difference-of-rounded-numbers-possible",
        title="A difference of numbers too large for the format loses half its digits",
        families=("sub",),
        where=_between_casts,
        when=lambda o: _of_rounded_numbers(o) & (lost_bits(o) >= o.precision / 2),
        precondition="both operands come from a Cast of integers (or of a wider format) beyond 2^p, and in every "
        "element half the significand or more cancels",
        explain="{op} subtracted numbers up to {x.top} and kept at most {out.top}: a Cast to {f.name} had "
        "rounded them, which holds whole numbers exactly up to 2^{f.precision} only.",
        fix=_FROM_A_NEAR_ORIGIN,
        source="open-mmlab/mmdetection3d#296; facebookresearch/fairo#537",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        patience=2,
    ),
    Rule(
        id="difference-step-lost",
        title="The step of a finite difference is lost",
        families=("add", "sub"),
        when=_step_is_lost,
        precondition="a sum keeps one operand's bits in every element, and a difference is 0 in every element that has "
        "this sum behind one of its sides only, as in f(x + h) - f(x)",
        explain="{op} adds up to {y.top} to values of {x.top}: none of {out.operands:,.0f} elements changes in "
        "{f.name} ({f.precision} significant bits), and what is computed from it with and without that step is equal.",
        fix=Fix(
            "Make the step about the cube root of the format's resolution, 5e-3 in float32, or compute in float64.",
            "(f(x + 1e-8) - f(x)) / 1e-8",
            "(f(x + 5e-3) - f(x - 5e-3)) / 1e-2",
        ),
        source="Press et al., Numerical Recipes 5.7",
        stage=Stage.STANDING,
        patience=2,
    ),
    Rule(
        id="small-terms-lost",
        title="A formula for something small gives 0",
        families=("sub",),
        where=_formula_minus_literal,
        when=_small_terms_lost,
        precondition="a computed value minus a literal is 0 in every element, although the operands of that value vary "
        "and are not small against the square root of the last place",
        explain="{op} gives 0 in all {out.size:,.0f} elements: next to {y.max:.4g}, {f.name} ({f.precision} "
        "significant bits) does not hold what is left of this formula.",
        fix=Fix(
            "Use the op that leaves out the large part, in float32.",
            "tf.exp(x) - x - 1.0",
            "tf.math.expm1(x) - x  # in float32",
        ),
        source="Goldberg 1991, theorem 4; joschu.net/blog/kl-approx.html",
        stage=Stage.STANDING,
        patience=3,
    ),
    Rule(
        id="cancelled-before-pole",
        title="A cancelled difference is divided by",
        families=("sub", "add"),
        where=lambda o: ~is_variance(o) & of_rounded(o) & feeds_pole(o),
        when=meaningless,
        precondition="a sum or difference of two rounded numbers has lost its whole significand, in every element, "
        "and is a denominator or the argument of Sqrt, Rsqrt or Log",
        explain="{op} of values up to {x.top} and {y.top} kept at most {out.top}: with "
        "{f.precision} significant bits that is rounding error, and a division, root or logarithm depends on it.",
        fix=Fix(
            "Rewrite the difference so that the large parts never meet.",
            "tf.sqrt(tf.square(a) + tf.square(b) - 2 * a * b)",
            "tf.abs(a - b)",
        ),
        source="Zou et al., POPL 2020 (atomic conditions); ExplaniFloat",
        stage=Stage.STANDING,
        certainty=Certainty.PROVEN,
        patience=3,
    ),
)
