"""Overflow of products, sums and their reductions; overflow and underflow of casts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tb_numstab.analysis.columns import Columns, Pick
from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops, Scope
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.schema.ops import Role

_GROWN = "Find what makes the operands grow (learning rate, missing normalisation, raw inputs) and bound it."


REDUCTIONS = ("matmul", "conv", "sum", "mean", "cumsum", "prod", "sum-of-squares")
"""Ops that combine many elements into one: infinities of both signs may meet inside, and give NaN."""


def _overflowed(o: Ops) -> Mask:
    """Inf from finite operands; NaN only where infinities can have met inside, or the format has no Inf."""
    reduced = o.among(o.graph.mask(*REDUCTIONS)) & (o.out.nan > 0)
    return np.asarray((o.out.inf > 0) | (o.out.overflow > 0) | reduced)


def too_many_to_count(o: Ops) -> Mask:
    """In float16 the number of averaged elements is itself Inf."""
    return np.asarray(o.narrow_range & (o.x.size / np.maximum(o.out.size, 1) >= 65520))


def _feeds_softmax(o: Ops) -> Mask:
    """The result is the logits of Softmax, but for a scale, a mask or a change of format."""
    graph = o.graph
    logits = graph.as_mask(graph.x[graph.members("softmax", "log-softmax")])
    return o.among(graph.feeding(logits, graph.mask("mul", "div", "add", "select", "move", "cast")))


def _near_top(o: Ops) -> Mask:
    """A float16 result of a forward reduction is within two bits of overflow.

    Large negative numbers are masks, and a single number may be a loss times its scale, but for a penalty
    such as L2Loss.
    """
    graph = o.graph
    forward = o.among(graph.role(Role.FORWARD) & (~graph.scalar | graph.mask("sum-of-squares")))
    return np.asarray(forward & o.narrow_range & (o.out.max >= 2.0**14))


ACCUMULATE_WIDER = Fix(
    "Accumulate in a wider format.", "tf.reduce_mean(x)", "tf.cast(tf.reduce_mean(tf.cast(x, tf.float32)), x.dtype)"
)


def _overflow(
    id: str,
    title: str,
    families: tuple[str, ...],
    explain: str,
    fix: Fix,
    blame: str = "larger.large",
    fixes: tuple[tuple[Callable[[Ops], Mask], Fix], ...] = (),
) -> Rule:
    return Rule(
        id=id,
        title=title,
        families=families,
        when=_overflowed,
        precondition="finite operands, and a result that is not finite",
        explain=explain,
        blame=blame,
        fix=fix,
        fixes=fixes,
        source="IEEE 754-2019 7.4",
    )


def _order_decides(o: Ops) -> Mask:
    """A product of three factors is finite, and a product of two of them would overflow.

    TensorFlow's graph optimizer may multiply factors of different shapes in another order.
    """
    found = np.zeros(len(o.slots), bool)
    for factors, outer in zip(o.scope.fact(_inner_factors), (o.y, o.x), strict=True):
        largest = np.fmax(*(Columns.of(o.table, factor).max_exp for factor in factors))
        found |= largest + outer.max_exp > o.max_exp
    return np.asarray(found & (o.out.nan + o.out.inf == 0))


def _inner_factors(s: Scope) -> list[tuple[Pick, Pick]]:
    """The factors of each first and of each second factor; -1 where that is no product."""
    graph = s.graph
    found = []
    for inner in (s.x.slots, s.y.slots):
        products = graph.role(Role.FORWARD)[s.slots] & (inner >= 0) & graph.mask("mul")[inner]
        found.append((Pick(np.where(products, graph.x[inner], -1)), Pick(np.where(products, graph.y[inner], -1))))
    return found


def _infinite_literal(o: Ops) -> Mask:
    """0 times a number that is beyond float16 in the program's text, such as -1e9."""
    literal = o.graph.role(Role.CONSTANT)
    infinite = (o.x_among(literal) & (o.x.inf > 0)) | (o.y_among(literal) & (o.y.inf > 0))
    return np.asarray((o.out.nan > 0) & infinite & o.narrow_range)


ORDER_DECIDES = Rule(
    id="product-order-decides",
    title="A product that is finite in one order only",
    families=("mul",),
    when=_order_decides,
    precondition="in a product of three factors the largest magnitudes of two that do not meet first add up, as "
    "exponents, beyond the format",
    explain="{op} multiplies a product up to {x.top} by a factor up to {y.top}: in another order the result is "
    "beyond {f.max_value:.3g}, and TensorFlow's graph optimizer may choose that order.",
    fix=Fix(
        "Add up logarithms instead of multiplying.",
        "u * kernel * tf.transpose(v)",
        "tf.exp(log_u + log_kernel + tf.transpose(log_v))",
    ),
    source="tf.config.optimizer.set_experimental_options, arithmetic_optimization; measured on TensorFlow 2.21",
    stage=Stage.STANDING,
    severity=Severity.WARNING,
    certainty=Certainty.POSSIBLE,
)

RULES = (
    Rule(
        id="literal-is-infinite",
        title="A literal is Inf in float16",
        families=("mul",),
        when=_infinite_literal,
        precondition="one factor is a literal that is Inf in float16, and the product holds NaN",
        explain="{op} multiplied 0 by a literal that is Inf in {f.name}, which ends at {f.max_value:.5g}: NaN in "
        "{out.nan:,.0f} of {out.size:,.0f} elements.",
        fix=Fix(
            "Use a number that float16 holds, or select.",
            "scores + (1.0 - mask) * -1e9",
            "scores + (1.0 - mask) * -6e4  # or tf.where(mask > 0, scores, -6e4)",
        ),
        source="IEEE 754-2019 7.2",
    ),
    Rule(
        id="zero-times-infinity",
        title="Zero times infinity",
        families=("mul",),
        when=lambda o: (o.out.nan > 0) & (o.x.inf + o.y.inf > 0),
        precondition="one factor holds Inf, none holds NaN, and the product holds NaN",
        explain="{op} multiplied Inf by 0 in {out.nan:,.0f} of {out.size:,.0f} elements: NaN.",
        fix=Fix(
            "Do not multiply by a mask; select.",
            "mask * tf.where(c, x, np.inf)",
            "tf.where(mask > 0, tf.where(c, x, np.inf), 0.0)",
        ),
        source="IEEE 754-2019 7.2",
    ),
    Rule(
        id="infinity-minus-infinity",
        title="Infinity minus infinity",
        families=("add", "sub"),
        when=lambda o: (o.out.nan > 0) & (o.x.inf + o.y.inf > 0),
        precondition="the operands of a sum hold Inf, none holds NaN, and the result holds NaN",
        explain="{op} subtracted infinities of one sign in {out.nan:,.0f} of {out.size:,.0f} elements: NaN.",
        fix=Fix("Mask with a large finite number.", "s + (-np.inf) * m", "s + -1e9 * m"),
        source="IEEE 754-2019 7.2",
    ),
    Rule(
        id="attention-overflow",
        title="Attention scores overflow",
        families=("matmul",),
        when=lambda o: _overflowed(o) & _feeds_softmax(o) & o.narrow_range,
        precondition="a product of matrices in float16 is not finite, and Softmax gets it, perhaps scaled or masked",
        explain="{op} multiplied operands up to {x.top} and {y.top} for a Softmax; the sum of products leaves {f.name} "
        "(largest {f.max_value:.3g}).",
        blame="larger.large",
        fix=Fix(
            "Scale the queries before the product, not the scores after it, and take the softmax in float32.",
            "scores = tf.matmul(q, k, transpose_b=True) / depth**0.5\ntf.nn.softmax(scores)",
            "scores = tf.matmul(q / depth**0.5, k, transpose_b=True)\n"
            "tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32)), q.dtype)",
        ),
        source="IEEE 754-2019 7.4; stanford-crfm/mistral#66",
    ),
    _overflow(
        "matmul-overflow",
        "Matrix product overflows",
        ("matmul", "conv"),
        "{op} multiplied operands up to {x.top} and {y.top}; the sum of products leaves {f.name} "
        "(largest {f.max_value:.3g}).",
        Fix(
            "In float16, scale the operands or use bfloat16, which has float32's range; in float32, bound what makes "
            "them grow (learning rate, missing normalisation, raw inputs).",
            "model.compile(keras.optimizers.SGD(1e-2), ...)",
            "model.compile(keras.optimizers.SGD(1e-2, global_clipnorm=1.0), ...)",
        ),
    ),
    _overflow(
        "square-overflow",
        "Square overflows",
        ("square",),
        "{op} squared values up to {x.top}; the square leaves {f.name} (largest {f.max_value:.3g}).",
        Fix(_GROWN, "tf.square(error)", "tf.keras.losses.huber(y, prediction)  # grows linearly"),
    ),
    _overflow(
        "sum-of-squares-overflow",
        "Sum of squares overflows",
        ("sum-of-squares",),
        "{op} summed the squares of {x.size:,.0f} values up to {x.top}; the sum leaves {f.name} (largest "
        "{f.max_value:.3g}).",
        Fix(
            "Sum the squares of float16 in float32; in float32, bound what makes the values grow.",
            "tf.nn.l2_loss(w)",
            "tf.nn.l2_loss(tf.cast(w, tf.float32))",
        ),
    ),
    _overflow(
        "product-overflow",
        "Product overflows",
        ("mul", "prod"),
        "{op} multiplied values up to {x.top} by values up to {y.top}: beyond {f.max_value:.3g}.",
        Fix(_GROWN, "a * b", "tf.math.log(a) + tf.math.log(b)  # of positive factors: stay in log space"),
    ),
    Rule(
        id="mean-of-nothing",
        title="Mean of no elements",
        families=("mean",),
        when=lambda o: (o.x.size == 0) & (o.out.nan > 0),
        precondition="the operand of a Mean has no elements, and the result is NaN",
        explain="{op} took the mean of {x.size:,.0f} elements, which is 0/0: NaN.",
        fix=Fix(
            "Divide the sum by the count with an op that gives 0 for 0/0, or skip such a step.",
            "tf.reduce_mean(tf.boolean_mask(x, mask))",
            "tf.math.divide_no_nan(tf.reduce_sum(tf.boolean_mask(x, mask)), tf.reduce_sum(tf.cast(mask, x.dtype)))",
        ),
        source="IEEE 754-2019 7.2; pytorch/pytorch#50224",
    ),
    Rule(
        id="mean-count-overflow",
        title="Mean of more elements than the format can count",
        families=("mean",),
        when=lambda o: too_many_to_count(o) & _overflowed(o),
        precondition="a Mean in float16 over 65520 elements or more is not finite",
        explain="{op} took the mean of {x.size:,.0f} elements in {f.name}, which ends at {f.max_value:.5g}: the count "
        "is Inf, and so is the sum.",
        blame="larger.large",
        fix=ACCUMULATE_WIDER,
        source="measured on TensorFlow 2.21",
    ),
    _overflow(
        "sum-overflow",
        "Sum overflows",
        ("sum", "mean", "cumsum", "add", "sub"),
        "{op} summed values up to {x.top}; the sum leaves {f.name} (largest {f.max_value:.3g}).",
        Fix(_GROWN, "keras.optimizers.SGD(lr)", "keras.optimizers.SGD(lr, global_clipnorm=1.0)"),
        fixes=(
            (
                lambda o: o.narrow_range,
                Fix("Sum in float32.", "tf.reduce_sum(x)", "tf.reduce_sum(tf.cast(x, tf.float32))"),
            ),
        ),
    ),
    _overflow(
        "update-overflow",
        "A variable overflows in its update",
        ("update",),
        "{op} changed {variable}, up to {x.top}, by up to {y.top}: beyond {f.max_value:.3g}.",
        Fix(_GROWN, "keras.optimizers.SGD(lr)", "keras.optimizers.SGD(lr, global_clipnorm=1.0)"),
        blame="y.large",
    ),
    _overflow(
        "cast-overflow",
        "Cast overflows",
        ("cast",),
        "{op} to {f.name} got values up to {x.magnitude:.4g}; {f.name} ends at {f.max_value:.5g}.",
        Fix(
            "Use bfloat16, which has float32's range, or scale (for gradients: loss scaling).",
            "keras.mixed_precision.set_dtype_policy('mixed_float16')",
            "keras.mixed_precision.set_dtype_policy('mixed_bfloat16')",
        ),
        fixes=(
            (
                lambda o: ~o.narrow_range,
                Fix(
                    "Clean the data: a number that large often stands for a missing one.",
                    "tf.cast(x, tf.float32)",
                    "tf.cast(tf.where(tf.abs(x) < 1e30, x, 0.0), tf.float32)",
                ),
            ),
        ),
    ),
    ORDER_DECIDES,
    Rule(
        id="float16-near-overflow",
        title="Results close to the end of float16",
        families=("matmul", "conv", "sum", "cumsum", "square", "sum-of-squares"),
        when=_near_top,
        precondition="a product of matrices, sum or square of the forward pass in float16 exceeds 2^14, a quarter of "
        "the largest number",
        explain="{op} reaches {out.max:.5g}; {f.name} ends at {f.max_value:.5g}.",
        fix=Fix(
            "Scale the operands before, not the result after, or compute in float32.",
            "tf.matmul(q, k, transpose_b=True) / d ** 0.5",
            "tf.matmul(q / d ** 0.5, k, transpose_b=True)",
        ),
        source="ultralytics/ultralytics#24990; stanford-crfm/mistral#66",
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
    ),
)
