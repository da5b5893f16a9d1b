"""Every rule speaks where it must, and is silent where it looks alike and nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_numstab.analysis.finding import Severity
from tb_numstab.analysis.rules import ORIGIN, RULES
from tb_numstab.analysis.rules.__main__ import document
from tb_numstab.analysis.rules.rule import Stage
from tb_numstab.schema.names import NOT_REPRODUCED
from tests.analysis.digits import angles, finite_difference, k3, three_factors
from tests.analysis.hazards import (
    arc_cosine,
    chosen_log,
    cooling,
    divided_by,
    exponentials,
    log_of,
    masked_mean,
    masked_scores,
    norm,
    power,
    product_of,
    reciprocal_norm,
    relu,
    root_of_difference,
)
from tests.analysis.programs import Step, binary, judge, unary
from tests.analysis.steps import (
    added,
    attention,
    average,
    bad_variable,
    bias_correction,
    cast,
    counter,
    cumulative,
    descent,
    distance,
    gradient,
    gradient_cast,
    growing,
    guarded_division,
    literals,
    loop_total,
    loss_scaled,
    masked_by_literal,
    probability,
    replayed,
    rms_norm,
    sgd,
    soft_update,
    softmax,
    time_gaps,
    unseen,
    variance,
    where,
)
from tests.analysis.test_training import PAIRS

ROOT = Path(__file__).parent.parent.parent
STEPS = 20
H = np.float16


# rule -> (a program it must speak about, one like it where nothing is wrong)
CASES: dict[str, tuple[Step, Step]] = {
    "log-of-zero": (unary("Log", np.log, [0.0, 1.0]), unary("Log", np.log, [0.1, 1.0])),
    "log-of-negative": (unary("Log", np.log, [-1.0, 1.0]), unary("Log", np.log, [0.1, 1.0])),
    "log-of-small-probability": (probability(70.0), probability(70.0, eps=1e-7)),
    "log1p-domain": (unary("Log1p", np.log1p, [-1.0, 1.0]), unary("Log1p", np.log1p, [-0.9, 1.0])),
    "exp-overflow": (unary("Exp", np.exp, [89.0, 1.0]), unary("Exp", np.exp, [60.0, -200.0])),
    "exp-near-overflow": (unary("Exp", np.exp, [60.0, 1.0]), unary("Exp", np.exp, [50.0, -200.0])),
    "hyperbolic-overflow": (unary("Cosh", np.cosh, [-89.9, 47.6]), unary("Cosh", np.cosh, [-60.0, 47.6])),
    "hyperbolic-near-overflow": (unary("Sinh", np.sinh, [-80.0, 1.0]), unary("Sinh", np.sinh, [-60.0, 60.0])),
    "division-by-zero": (
        binary("RealDiv", np.divide, [0.0, 1.0], [0.0, 2.0]),
        binary("DivNoNan", lambda x, y: np.array([0.0, 0.5]), [0.0, 1.0], [0.0, 2.0]),
    ),
    "division-overflow": (
        binary("RealDiv", np.divide, [1e30, 1.0], [1e-30, 2.0]),
        binary("RealDiv", np.divide, [1e30, 1.0], [1e30, 2.0]),
    ),
    "reciprocal-of-zero": (
        unary("Reciprocal", np.reciprocal, [0.0, 1.0]),
        unary("Reciprocal", np.reciprocal, [0.1, 1.0]),
    ),
    "epsilon-is-zero": (guarded_division(1e-8, H), guarded_division(1e-8, np.float32)),
    "sqrt-of-negative": (unary("Sqrt", np.sqrt, [-1.0, 1.0]), unary("Sqrt", np.sqrt, [0.0, 1.0])),
    "rsqrt-of-zero": (unary("Rsqrt", lambda x: 1 / np.sqrt(x), [0.0, 1.0]), unary("Rsqrt", np.sqrt, [0.1, 1.0])),
    "sqrt-gradient-at-zero": (
        gradient("SqrtGrad", lambda y, dy: dy / (2 * y), "Sqrt", [0.0, 1.0], [1.0, 1.0]),
        gradient("SqrtGrad", lambda y, dy: np.where(dy == 0, 0, dy / (2 * y)), "Sqrt", [0.0, 1.0], [0.0, 0.3]),
    ),
    "pow-gradient-at-zero": (
        gradient("Pow", np.power, "Pow", [0.0, 1.0], -0.5),
        gradient("Pow", np.power, "Pow", [0.0, 1.0], 0.5),
    ),
    "pow-of-zero": (
        binary("Pow", np.power, [0.0, 1.0], -0.5),
        binary("Pow", np.power, [0.0, 1.0], 0.5),
    ),
    "pow-of-negative": (binary("Pow", np.power, [-1.0, 1.0], 0.5), binary("Pow", np.power, [-1.0, 1.0], 2.0)),
    "pow-overflow": (binary("Pow", np.power, [1e20, 1.0], 3.0), binary("Pow", np.power, [1e10, 1.0], 3.0)),
    "softmax-all-masked": (
        unary("Softmax", softmax, [[-np.inf, -np.inf], [0.0, 1.0]]),
        unary("Softmax", softmax, [[-np.inf, 0.0], [0.0, 1.0]]),
    ),
    "softmax-of-infinity": (
        added([[0.0, 1.0]], [[np.inf, 0.0]], b_is_literal=True, before_softmax=True),
        added([[0.0, 1.0]], [[3e38, 0.0]], b_is_literal=True, before_softmax=True),
    ),
    "cross-entropy-masked-label": (
        unary("SoftmaxCrossEntropyWithLogits", lambda x: -np.min(x, axis=-1), [[-np.inf, 0.0]]),
        unary("SoftmaxCrossEntropyWithLogits", lambda x: -np.min(x, axis=-1), [[-50.0, 0.0]]),
    ),
    "inverse-trig-domain": (unary("Acos", np.arccos, [1.1, 0.0]), unary("Acos", np.arccos, [1.0, 0.0])),
    "literal-is-infinite": (masked_by_literal(-np.inf), masked_by_literal(-6e4)),
    "polygamma-pole": (
        unary("Lgamma", lambda x: np.where(x <= 0, np.inf, 1.0), [0.0, 1.0]),
        unary("Lgamma", lambda x: np.where(x <= 0, np.inf, 1.0), [0.1, 1.0]),
    ),
    "bessel-overflow": (unary("BesselI0", np.i0, [92.0, 1.0]), unary("BesselI0", np.i0, [80.0, 1.0])),
    "zero-times-infinity": (
        binary("Mul", np.multiply, [-np.inf, 1.0], [0.0, 1.0]),
        binary("Mul", np.multiply, [1e38, 1.0], [0.0, 1.0]),
    ),
    "infinity-minus-infinity": (
        binary("Sub", np.subtract, [-np.inf, 1.0], [-np.inf, 1.0]),
        binary("Sub", np.subtract, [1e38, 1.0], [1e38, 1.0]),
    ),
    "attention-overflow": (attention(250.0), attention(100.0)),
    "matmul-overflow": (
        binary("MatMul", np.matmul, [[1e20, 1.0]], [[1e20], [1.0]]),
        binary("MatMul", np.matmul, [[1e15, 1.0]], [[1e15], [1.0]]),
    ),
    "square-overflow": (unary("Square", np.square, [1e20, 1.0]), unary("Square", np.square, [1e15, 1.0])),
    "sum-of-squares-overflow": (
        unary("L2Loss", lambda x: H((x.astype(np.float32) ** 2).sum() / 2), np.full(8192, 6.0), H),
        unary("L2Loss", lambda x: H((x.astype(np.float32) ** 2).sum() / 2), np.full(8192, 1.0), H),
    ),
    "product-overflow": (
        binary("Mul", np.multiply, [1e30, 1.0], [1e30, 1.0]),
        binary("Mul", np.multiply, [1e30, 1.0], [1e-30, 1.0]),
    ),
    "sum-overflow": (
        unary("Sum", lambda x: x.sum(), np.full(9, 1e38)),
        unary("Sum", lambda x: x.sum(), np.full(9, 1e30)),
    ),
    "mean-of-nothing": (
        unary("Mean", lambda x: np.float32(np.nan), []),
        unary("Mean", lambda x: x.mean(), [0.0]),
    ),
    "mean-count-overflow": (
        unary("Mean", lambda x: H(np.nan), np.ones(70000), H),
        unary("Mean", lambda x: x.mean(), np.ones(60000), H),
    ),
    "mean-of-too-many": (
        unary("Mean", lambda x: H(0), np.ones(70000), H),
        unary("Mean", lambda x: x.mean(), np.ones(60000), H),
    ),
    "update-overflow": (
        descent([3e38, 1.0], lambda i, w: -w, np.float32),
        descent([3e30, 1.0], lambda i, w: -w if i < 2 else 0 * w, np.float32),
    ),
    "cast-overflow": (cast([1e6, 1.0]), cast([6e4, 1.0])),
    "operand-not-measured": (
        unseen("Mul", np.multiply, np.nan, [1.0, 2.0]),
        unseen("Mul", np.multiply, 2.0, [1.0, 2.0]),
    ),
    "invalid-operation": (
        unary("Mystery", lambda x: x / 0, [0.0, 1.0]),
        unary("Mystery", lambda x: x, [0.0, 1.0]),
    ),
    "overflow": (unary("Mystery", lambda x: x / 0, [2.0, 1.0]), unary("Mystery", lambda x: x, [2.0, 1.0])),
    "where-gradient-trap": (where(discards=True), where(discards=False)),
    "nonfinite-input": (unary("Relu", lambda x: x, [np.nan, 1.0]), unary("Relu", lambda x: x, [3e38, 1.0])),
    "nonfinite-variable": (bad_variable(np.nan), bad_variable(3e37)),
    "nonfinite-received": (
        unary("CollectiveReduceV2", lambda x: x * np.nan, [1.0, 2.0]),
        unary("CollectiveReduceV2", lambda x: 2 * x, [1.0, 2.0]),
    ),
    "nonfinite-step-not-reproduced": (replayed(NOT_REPRODUCED), replayed("measured without XLA")),
    "disparate-scale-sum": (added([1e9, 2e9], [0.1, 0.2]), added([1e6, 2e6], [0.1, 0.2])),
    "factor-is-one": (soft_update(H, 1e-4), soft_update(H, 1e-2)),
    "literal-is-lost": (literals(1e-9), literals(1e-5)),
    "accumulation-stagnates": (loop_total(H, 6000), loop_total(H, 2000)),
    "cumsum-stagnates": (cumulative(H), cumulative(np.float32)),
    "gradient-underflow": (gradient_cast(1e-6), gradient_cast(1e-2)),
    "one-pass-variance": (variance(5000.0), variance(5000.0, two_pass=True)),
    "cancelled-before-pole": (distance(20000.0), distance(20.0)),
    "difference-of-rounded-numbers": (time_gaps(1_700_000_000, 50), time_gaps(1_700_000, 50)),
    "difference-of-rounded-numbers-possible": (time_gaps(1_700_000_000, 3600), time_gaps(1_700_000_000, 86_400 * 30)),
    "difference-step-lost": (finite_difference(1e-8), finite_difference(1e-3)),
    "small-terms-lost": (k3(0.022), k3(0.022, stable=True)),
    "loss-not-scaled": (loss_scaled(False), loss_scaled(True)),
    "phase-lost": (angles(4097, H), angles(2047, H)),
    "update-lost": (sgd(4000.0, 1e-8, lambda i: 1e3), sgd(4000.0, 1e-8, lambda i: 1e-9)),
    "update-stopped": (
        descent(2040.0, lambda i, w: -1.0, H, trainable=False),
        descent(2040.0, lambda i, w: -(0.25**i), H, trainable=False),
    ),
    "average-lost": (average(H, 1e-4), average(np.float32, 1e-4)),
    "update-is-zero": (bias_correction(1.0), bias_correction(0.999)),
    "update-mostly-lost": (
        descent(np.linspace(0.1, 3, 40), lambda i, w: np.full(40, 4e-4), H),
        descent(np.linspace(0.1, 3, 40), lambda i, w: np.full(40, 4e-4), np.float32),
    ),
    "update-exceeds-variable": (
        descent(np.full((4, 4), 0.1), lambda i, w: 17 * w, np.float32),
        descent(np.zeros((4, 4)), lambda i, w: np.full((4, 4), 0.1), np.float32),
    ),
    "growing-towards-overflow": (
        growing("Relu", lambda i: [2.0 ** (20 + 4 * i), 1.0], lambda x: x),
        growing("Relu", lambda i: [2.0 ** min(20 + 4 * i, 30), 1.0], lambda x: x),
    ),
    "exp-growing-towards-overflow": (
        growing("Exp", lambda i: [24.0 + 1.5 * i, 1.0], np.exp),
        growing("Exp", lambda i: [30.0 + (i % 2) * 2, 1.0], np.exp),
    ),
    "operand-underflows": (
        growing("Log", lambda i: [2.0 ** (-40 - 4 * i), 1.0], np.log),
        growing("Log", lambda i: [2.0 ** -(40 + i % 3), 1.0], np.log),
    ),
    "one-pass-variance-possible": (variance(60.0), variance(3.0)),
    "log-of-probability": (log_of("Softmax"), log_of("Softmax", eps=1e-7)),
    "softmax-by-hand": (exponentials("softmax", 30.0), exponentials("softmax", 30.0, stable=True)),
    "logsumexp-by-hand": (exponentials("log", 30.0), exponentials("log", 30.0, stable=True)),
    "log-of-product": (product_of(40), product_of(20)),
    "operand-towards-pole": (cooling(0.05), cooling(0.0)),
    "accumulator-towards-overflow": (
        descent(4e4, lambda i, w: -512, H, trainable=False),
        descent(4e4, lambda i, w: 512 * (-1) ** i, H, trainable=False),
    ),
    "log-of-1-minus-exp": (log_of("Exp", complement=True), log_of("Exp", complement=True, upper=1 - 1e-6)),
    "where-trap-possible": (chosen_log(safe=False), chosen_log(safe=True)),
    "root-of-zero-possible": (norm(), norm(eps=1e-12)),
    "root-of-negative-possible": (root_of_difference(), root_of_difference(lower=1e-6)),
    "power-of-zero-possible": (power(0.5, 1.0), power(0.5, 1 - 1e-6)),
    "edge-of-domain-possible": (arc_cosine(1.0), arc_cosine(1 - 1e-6)),
    "denominator-may-vanish": (masked_mean(), masked_mean(eps=1e-6)),
    "log1p-near-pole": (unary("Log1p", np.log1p, [-0.99, 1.0]), unary("Log1p", np.log1p, [-0.9, 1.0])),
    "product-order-decides": (three_factors(1e25, 1e-30, 1e25), three_factors(1e25, 1e-30, 1e10)),
    "float16-near-overflow": (
        binary("MatMul", np.matmul, [[200.0, 1.0]], [[100.0], [1.0]], H),
        binary("MatMul", np.matmul, [[-200.0, 1.0]], [[100.0], [1.0]], H),
    ),
    "overflow-swallowed": (rms_norm(500.0), rms_norm(200.0)),
    "relu-layer-dead": (relu([-1.0, -2.0]), relu([-1.0, 2.0])),
    "mask-may-cover-a-row": (masked_scores(changing=True), masked_scores(changing=False)),
}


def test_the_overflow_of_cosh_is_told_by_the_largest_magnitude() -> None:
    (finding,) = [f for f in judge(unary("Cosh", np.cosh, [-89.9, 47.6])).findings() if f.severity is Severity.ERROR]
    assert "magnitude up to 89.9; it overflows float32 beyond 89.42." in finding.summary


@pytest.mark.parametrize("op_type", ["UnsortedSegmentSum", "SelfAdjointEigV2", "Relu", "Prod"])
def test_what_can_be_0_by_its_nature_is_a_hazard_below_a_fraction(op_type: str) -> None:
    assert findings(divided_by(op_type)) == {"denominator-may-vanish"}
    assert findings(divided_by("Softplus")) == set()


@pytest.mark.parametrize("rate_is_literal", [True, False])
def test_a_decay_that_a_narrow_format_makes_1_is_an_error(rate_is_literal: bool) -> None:
    step = soft_update(H, 1e-4, rate_is_literal)
    assert "factor-is-one" in findings(step)
    assert "factor-is-one" not in findings(soft_update(np.float32, 1e-4, rate_is_literal))


def test_a_counter_that_stops_is_no_factor_of_itself() -> None:
    assert findings(counter(H)) == set()
    assert {"update-stopped"} == {f.rule for f in judge(counter(H), 2000).findings()}


def test_a_large_first_update_is_usual() -> None:
    first = descent(np.full((4, 4), 0.1), lambda i, w: np.full((4, 4), 0.0 if i else 3.0), np.float32)
    assert findings(first) == set()


def test_of_an_operand_without_a_row_nothing_is_said() -> None:
    assert findings(norm(examples=2)) == {"root-of-zero-possible"}
    assert findings(norm(examples=0)) == set()


def test_a_formula_of_noise_around_0_may_give_0() -> None:
    assert "small-terms-lost" not in findings(k3(1e-4))


@pytest.mark.parametrize(("exponent", "trained"), [(0.5, True), (-0.5, False)])
def test_an_exponent_below_1_is_a_hazard_wherever_it_comes_from(exponent: float, trained: bool) -> None:
    assert "power-of-zero-possible" in findings(power(exponent, 1.0, trained))
    assert findings(power(2.0, 1.0, trained)) == set()


def test_a_clip_that_lets_1_pass_is_a_hazard_below_a_logarithm() -> None:
    assert findings(log_of("Sigmoid", complement=True, upper=1.0)) == {"log-of-probability"}


def test_a_weight_of_0_for_what_is_infinitely_far_away_is_no_swallowed_overflow() -> None:
    assert "overflow-swallowed" not in {f.rule for f in judge(rms_norm(500.0, given_scale=True), 3).findings()}


def findings(step: Step) -> set[str]:
    return {f.rule for f in judge(step, STEPS).findings()}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_speaks_where_it_must(rule: str) -> None:
    found = judge(CASES[rule][0], STEPS).findings()
    assert rule in {f.rule for f in found}
    finding = next(f for f in found if f.rule == rule)
    expected = next(r for r in RULES if r.id == rule)
    assert finding.severity is expected.severity and finding.certainty is expected.certainty
    assert "nan" not in finding.summary.lower().replace("nan in", "").replace("nan,", "").replace("nan.", "").split()
    assert bool(finding.forecast) == (expected.stage is Stage.TREND)


@pytest.mark.parametrize("rule", CASES)
def test_nothing_is_said_where_nothing_is_wrong(rule: str) -> None:
    found = judge(CASES[rule][1], STEPS).findings()
    assert [f for f in found if f.severity is Severity.ERROR] == []
    assert rule not in {f.rule for f in found}


def test_every_rule_is_tested() -> None:
    assert CASES.keys() | PAIRS.keys() == {rule.id for rule in RULES}


def test_rule_ids_are_unique_and_an_origin_always_finds_one() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert any(not rule.families for rule in ORIGIN)


@pytest.mark.parametrize(
    "step",
    [
        added([1e9, 2e9], [1e-7, 1e-7], b_is_literal=True),
        added([[0.5, 1.5]], [[-1e9, -2e9]], before_softmax=True),
        gradient_cast(1e-6, forward=True),
        gradient_cast(3e-4),
        sgd(0.3, 0.1, lambda i: 0.5**i),
        sgd(0.3, 0.01, lambda i: 1e-7),
        descent([0.3, 0.2], lambda i, w: 0 * w, np.float32),
        descent([2.0**24 - 5], lambda i, w: -1.0, np.float64),
        variance(3.0),
        log_of("Sigmoid", complement=True, upper=1 - 1e-6),
        log_of("Sigmoid", complement=True, eps=1e-8),
        exponentials("softmax", 10.0),
        norm(chosen=True),
        masked_mean(zeros=False),
        masked_mean(exp=True),
        average(H, 0.1),
        descent(2048.0, lambda i, w: 0.25 if i else 2.0, H, trainable=False),
        bias_correction(0.999, rate=0.0),
        reciprocal_norm(1e6),
        added([1e9, 2e9], [0.1, 0.2], b_is_variable=True),
        chosen_log(safe=True, of_expm1=True),
    ],
    ids=[
        "epsilon",
        "mask",
        "activations",
        "tail of a gradient",
        "converging",
        "converged",
        "zero-gradient",
        "wide counter",
        "small offset",
        "clipped sigmoid",
        "1 - sigmoid + eps",
        "small logits",
        "root in where",
        "positive weights",
        "sum of exp",
        "average",
        "small changes that stop",
        "rate 0",
        "clipped rsqrt",
        "young bias",
        "log(expm1) of a safe argument",
    ],
)
def test_healthy_programs_are_met_with_silence(step: Step) -> None:
    assert findings(step) == set()


def test_the_documentation_is_made_from_the_rules() -> None:
    assert (ROOT / "docs" / "rules.md").read_text() == document(), (
        "run: python -m tb_numstab.analysis.rules > docs/rules.md"
    )
