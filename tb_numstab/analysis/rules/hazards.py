"""Unstable patterns: a pole with nothing to guard it, before any element has reached it.

Judged from the graph: which op feeds which, and what stands between. Where usual code looks the same, the
observed ranges decide. What is safe by the framework (losses from logits, layers with an epsilon,
optimizers) has its guards in the graph too, and so stays silent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tb_numstab.analysis.finding import Certainty, Fix, Severity
from tb_numstab.analysis.formulas import logsumexp_by_hand, softmax_by_hand, wide_exp_behind
from tb_numstab.analysis.graph import Mask
from tb_numstab.analysis.ops import Ops
from tb_numstab.analysis.patterns import (
    BESIDE_POLE,
    TRAPS,
    addends_vanish,
    always,
    at_edge,
    bare_denominator,
    bare_power,
    far_from_one,
    log_of_1_minus_exp_possible,
    log_of_probability,
    mask_changes,
    of_product,
    root_of_anything,
    root_of_squares,
    small_exponent,
    structural,
    where_trap,
)
from tb_numstab.analysis.rules.log import ABOVE_ZERO, EXPM1, FROM_LOGITS
from tb_numstab.analysis.rules.roots import RSQRT
from tb_numstab.analysis.rules.rule import Rule, Stage
from tb_numstab.analysis.rules.where_trap import WHERE_TRAP


def _hazard(
    id: str, title: str, families: tuple[str, ...], where: Callable[[Ops], Mask] | None,
    when: Callable[[Ops], Mask], precondition: str, explain: str, fix: Fix, source: str,
    fixes: tuple[tuple[Callable[[Ops], Mask], Fix], ...] = (),
) -> Rule:  # fmt: skip
    return Rule(
        id=id,
        title=title,
        families=families,
        where=where,
        when=when,
        precondition=precondition,
        explain=explain,
        fix=fix,
        fixes=fixes,
        source=source,
        stage=Stage.STANDING,
        severity=Severity.WARNING,
        certainty=Certainty.POSSIBLE,
    )


def _seen(o: Ops) -> Mask:
    """The operand has been measured: what is said about it are its numbers."""
    return ~np.isnan(o.x.min)


RULES = (
    _hazard(
        "log-of-probability",
        "Logarithm of a probability without a guard",
        ("log",),
        structural(log_of_probability),
        _seen,
        "the argument of Log is the result of Softmax or Sigmoid, or 1 minus it, no positive constant is added and no "
        "clip keeps it from 0, and a gradient is taken",
        "{op} gets probabilities down to {x.min:.3g}, with nothing to keep them from 0: one that underflows "
        "gives -Inf.",
        FROM_LOGITS,
        "GRIST (ICSE 2022); tf.nn.sigmoid_cross_entropy_with_logits",
    ),
    _hazard(
        "log-of-1-minus-exp",
        "Logarithm of 1 - exp(x) without a guard",
        ("log",),
        structural(log_of_1_minus_exp_possible),
        _seen,
        "the argument of Log is 1 - exp(x), no clip keeps exp(x) below 1, and a gradient is taken",
        "{op} gets 1 - exp(x), down to {x.min:.3g}: where x is close to 0, exp(x) rounds to 1, and this is log(0).",
        EXPM1,
        "Maechler 2012, Accurately computing log(1 - exp(-|a|))",
    ),
    _hazard(
        "softmax-by-hand",
        "Softmax without its maximum subtracted",
        ("div",),
        structural(softmax_by_hand),
        wide_exp_behind("move", "cast", "mul"),
        "exp(z) is divided by a sum of the same exp(z), the maximum is not subtracted, z is not clipped, and |z| has "
        "passed an eighth of ln(max)",
        "{op} normalises exponentials of {x.extent}: exp overflows {f.name} above "
        "{f.exp_overflow:.2f}, and a row below {f.exp_underflow:.2f} is 0/0.",
        Fix(
            "Use the op that subtracts the maximum.",
            "tf.exp(z) / tf.reduce_sum(tf.exp(z), 1, keepdims=True)",
            "tf.nn.softmax(z)",
        ),
        "GRIST ID 11; brain-research/tensorfuzz",
    ),
    _hazard(
        "logsumexp-by-hand",
        "Logarithm of a sum of exponentials",
        ("log",),
        structural(logsumexp_by_hand),
        wide_exp_behind("sum", "mean", "move", "cast", "add", "mul", "div"),
        "the argument of Log is a sum with exp(z) in it, the maximum is not subtracted, z is not clipped, and |z| has "
        "passed an eighth of ln(max)",
        "{op} gets sums of exponentials of {x.extent}: they overflow above "
        "{f.exp_overflow:.2f}, and are 0 below {f.exp_underflow:.2f}.",
        Fix(
            "Stay in log space.",
            "tf.math.log(tf.reduce_sum(tf.exp(z), 1)); tf.math.log(1.0 + tf.exp(z))",
            "tf.reduce_logsumexp(z, 1); tf.nn.softplus(z)",
        ),
        "tensorflow/tensorflow#172; keras-team/keras#2586",
    ),
    _hazard(
        "log-of-product",
        "Logarithm of a product or determinant",
        ("log",),
        of_product,
        far_from_one,
        "the argument of Log is the result of Prod, Cumprod or MatrixDeterminant, and has shrunk below 2^-31 (2^-3 in "
        "float16) or grown beyond 2^31 (2^3)",
        "{op} gets products of {x.extent}: below {f.min_normal:.3g} they are 0, and the "
        "logarithm -Inf; above {f.max_value:.3g} they overflow.",
        Fix(
            "Add up logarithms instead of multiplying.",
            "tf.math.log(tf.reduce_prod(p, 1)); tf.math.log(tf.linalg.det(a))",
            "tf.reduce_sum(tf.math.log(p), 1); tf.linalg.slogdet(a).log_abs_determinant",
        ),
        "hwalsuklee/tensorflow-mnist-VAE#4; RasmussenLab/vamb#12",
    ),
    _hazard(
        "where-trap-possible",
        "tf.where over a branch with an unguarded pole",
        TRAPS,
        structural(where_trap),
        always,
        "a branch of tf.where comes from Log, Log1p, RealDiv, Reciprocal, Rsqrt, Pow, Acos, Asin or Atanh of an "
        "operand that is neither selected, clipped nor guarded itself, and a gradient is taken",
        "{op} is computed for all elements, also for those that tf.where throws away: should one of them sit on the "
        "pole, its gradient is 0 * Inf = NaN.",
        WHERE_TRAP.fix,
        WHERE_TRAP.source,
    ),
    _hazard(
        "root-of-zero-possible",
        "Square root without a guard",
        ("sqrt",),
        structural(root_of_squares),
        _seen,
        "a gradient is taken through Sqrt of a sum of squares (a norm, a standard deviation), and no positive constant "
        "is added and no clip keeps its operand from 0",
        "{op} gets values down to {x.min:.3g} with nothing to keep them from 0, where the derivative is infinite.",
        Fix(
            "Put a small constant inside the root.",
            "tf.sqrt(tf.reduce_sum(tf.square(a - b), 1))",
            "tf.sqrt(tf.reduce_sum(tf.square(a - b), 1) + 1e-12)",
        ),
        "tensorflow/tensorflow#4914, #30199, #12071",
    ),
    _hazard(
        "root-of-negative-possible",
        "Square root of what may be negative",
        ("sqrt",),
        structural(root_of_anything),
        _seen,
        "a gradient is taken through Sqrt of something other than a sum of squares, and no clip keeps it above 0",
        "{op} gets values down to {x.min:.3g} with nothing to keep them above 0: at 0 the derivative is infinite, "
        "below it the result is NaN.",
        Fix("Clip just above 0.", "tf.sqrt(x)", "tf.sqrt(tf.maximum(x, 1e-12))"),
        "tensorflow/tensorflow#4914; DEBAR (ESEC/FSE 2020)",
    ),
    _hazard(
        "power-of-zero-possible",
        "Fractional power without a guard",
        ("pow",),
        structural(bare_power),
        lambda o: small_exponent(o) & _seen(o),
        "a gradient is taken through Pow with an exponent below 1, and nothing keeps its base from 0",
        "{op} to the power {y.min:.3g} gets values down to {x.min:.3g} with nothing to keep them above 0: at 0 the "
        "derivative is infinite, below it the result is NaN.",
        Fix("Keep the base away from 0.", "x ** 0.5", "tf.maximum(x, 1e-7) ** 0.5"),
        "kornia/kornia#918; RANUM (ICSE 2023)",
    ),
    _hazard(
        "edge-of-domain-possible",
        "Inverse function up to the edge of its domain",
        ("inverse-trig",),
        structural(at_edge),
        _seen,
        "a gradient is taken through Acos, Asin or Atanh, and no clip keeps the operand strictly inside (-1, 1)",
        "{op} gets arguments up to {x.max:.9g} with nothing to keep them below 1, where the derivative is infinite.",
        Fix(
            "Clip just inside the domain.",
            "tf.acos(tf.clip_by_value(x, -1.0, 1.0))",
            "tf.acos(tf.clip_by_value(x, -1 + 1e-6, 1 - 1e-6))",
        ),
        "tensorflow/tensorflow#57786; measured on TensorFlow 2.21",
    ),
    _hazard(
        "denominator-may-vanish",
        "A denominator that can become zero",
        ("div", "reciprocal", "rsqrt", "log", "polygamma"),
        structural(bare_denominator),
        addends_vanish,
        "a denominator (or the argument of Rsqrt, Log, Digamma or Lgamma) is a ReLU, a norm or standard deviation, a "
        "sum or mean of non-negative values that hold zeros, a sum over groups, a product, or an eigenvalue, "
        "without an epsilon, a clip or a tf.where",
        "The denominator (or argument) of {op} can be 0: by what it is made of, with no epsilon, clip or tf.where to "
        "keep it from that.",
        Fix(
            "Add a small constant, or give 0 where the denominator is 0.",
            "total / tf.reduce_sum(mask, 1)",
            "tf.math.divide_no_nan(total, tf.reduce_sum(mask, 1))  # norms: tf.math.l2_normalize",
        ),
        "jakeret/tf_unet#74; tensorflow/tensorflow#35257, #20091",
        fixes=(
            RSQRT,
            (
                lambda o: o.among(o.graph.mask("polygamma")),
                Fix(
                    "Keep the argument above 0.",
                    "tf.math.digamma(tf.nn.relu(z))",
                    "tf.math.digamma(tf.nn.softplus(z) + 1e-6)",
                ),
            ),
            (lambda o: o.among(o.graph.mask("log")), ABOVE_ZERO),
        ),
    ),
    _hazard(
        "log1p-near-pole",
        "Log1p close to its pole",
        ("log1p",),
        None,
        lambda o: o.x.min <= BESIDE_POLE - 1,
        "an argument of Log1p is below -15/16",
        "{op} gets arguments down to {x.min:.9g}; at -1 the logarithm is -Inf.",
        Fix("Keep the argument above -1.", "tf.math.log1p(-a)", "tf.math.log1p(-tf.minimum(a, 1.0 - 1e-6))"),
        "denisyarats/pytorch_sac#7",
    ),
    _hazard(
        "mask-may-cover-a-row",
        "-Inf masks logits by data",
        ("softmax", "log-softmax"),
        None,
        mask_changes,
        "the logits of Softmax hold -Inf, and the masked share changes from record to record",
        "{op} gets -Inf in {x.neg_inf:,.0f} of {x.size:,.0f} logits, and the share changes with the data: a row "
        "masked everywhere gives 0/0 = NaN.",
        Fix(
            "Mask with a large finite number (-6e4 in float16).",
            "tf.where(mask, scores, -np.inf)",
            "tf.where(mask, scores, -1e9)",
        ),
        "pytorch/pytorch#131060; allenai/allennlp#890",
    ),
)
