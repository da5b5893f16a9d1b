"""Where the first harmful NaN or Inf began, on programs with a known answer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tb_numstab.analysis.engine import Engine
from tb_numstab.analysis.graph import OpGraph
from tb_numstab.analysis.origin import Source, find_origin
from tb_numstab.schema.columns import INDEX, Row, empty_rows
from tb_numstab.schema.ops import OpSite, Role
from tests.analysis.programs import binary, data, judge, literal, op, returned_mean, unary, update, variable
from tests.support.numpy_trace import Node, Trace
from tests.support.runs import make_run


def origin_of(engine: Engine) -> OpSite:
    assert engine.origin is not None
    return engine.graph.sites[engine.origin.slot]


# ---- one step, straight through -----------------------------------------------------------------


def test_log_of_zero_times_zero_began_in_log() -> None:
    def step(trace: Trace, i: int) -> None:
        p, y = data(trace, [0.0, 0.5]), data(trace, [0.0, 1.0])
        log = op(trace, "Log", np.log(p.array), p)
        returned_mean(trace, op(trace, "Mul", y.array * log.array, y, log))

    engine = judge(step)
    assert origin_of(engine).op_type == "Log"
    finding = engine.findings()[0]
    assert [engine.graph.sites[h.slot].op_type for h in finding.why[:3]] == ["Mean", "Mul", "Log"]
    assert finding.why[-1].text == "input x_0 holds 0 in 1 of 2 elements, at train.py:1"


def test_a_fully_masked_row_began_in_softmax_not_in_its_mask() -> None:
    def step(trace: Trace, i: int) -> None:
        mask = literal(trace, [[-np.inf, -np.inf], [0.0, -np.inf]])
        scores = data(trace, [[1.0, 2.0], [1.0, 2.0]])
        masked = op(trace, "AddV2", scores.array + mask.array, scores, mask)
        e = np.exp(masked.array - masked.array.max(1, keepdims=True))
        returned_mean(trace, op(trace, "Softmax", e / e.sum(1, keepdims=True), masked))

    engine = judge(step)
    assert origin_of(engine).op_type == "Softmax"
    assert engine.findings()[0].rule == "softmax-all-masked"


def test_data_of_inf_that_are_multiplied_are_no_mask() -> None:
    """As the logarithm of 0 in a data pipeline: the op that makes NaN of it is not to blame."""

    def step(trace: Trace, i: int) -> None:
        x, w = data(trace, [[-np.inf, 1.0]]), variable(trace, [[1.0, -1.0], [1.0, 1.0]])
        hidden = op(trace, "MatMul", x.array @ w.array, x, w)
        returned_mean(trace, op(trace, "MatMul", hidden.array @ w.array, hidden, w))

    engine = judge(step)
    assert origin_of(engine).role is Role.INPUT
    finding = engine.findings()[0]
    assert (finding.rule, finding.summary) == ("nonfinite-input", "x_0 holds Inf in 1 of 2 elements.")


def test_of_two_faults_the_one_whose_forward_op_ran_first_is_named() -> None:
    """0 ** -0.5 made the loss NaN; the gradient of 0 ** 0.5, a later line, is a fault of its own."""

    def step(trace: Trace, i: int) -> None:
        x, w = data(trace, [0.0, 1.0]), variable(trace, [1.0, 1.0])
        first, second, half = literal(trace, -0.5), literal(trace, 0.5), literal(trace, 1.5)
        inverse = op(trace, "Pow", np.power(x.array, first.array), x, first, line=3)
        root = op(trace, "Pow", np.power(x.array, second.array), x, second, line=4)
        returned_mean(trace, op(trace, "Mul", inverse.array * root.array, inverse, root))
        slopes = [
            op(trace, "Pow", np.power(x.array, p.array), x, p, role=Role.GRADIENT, gradient_of=f.slot)
            for p, f in ((first, root), (half, inverse))
        ]
        slopes[1] = op(trace, "Mul", slopes[1].array / 0, slopes[1], x, role=Role.GRADIENT, gradient_of=inverse.slot)
        update(trace, w, op(trace, "AddN", slopes[0].array + slopes[1].array, *slopes, role=Role.GRADIENT))

    source = origin_of(judge(step)).source
    assert source is not None and source.line == 3


def test_nan_from_an_operand_that_was_not_measured_is_no_overflow() -> None:
    def step(trace: Trace, i: int) -> None:
        g = data(trace, [1.0, 2.0])
        change = op(trace, "Mul", np.nan * g.array, Node(-1, np.full(2, np.nan, np.float32)), g)
        update(trace, variable(trace, [1.0, 1.0]), change)

    assert [f.rule for f in judge(step).findings()] == ["operand-not-measured"]


def replica(trace: Trace, argument: float, name: str) -> None:
    """Subtracts from w 0.1 * the sum over two replicas of log(argument), of which the other one's is -Inf."""
    log = op(trace, "Log", np.log([argument]).astype(np.float32), data(trace, [argument]))
    total = op(trace, "CollectiveReduceV2", np.full_like(log.array, -np.inf), log, line=8)
    change = op(trace, "Mul", np.float32(0.1) * total.array, total, literal(trace, 0.1))
    update(trace, variable(trace, [1.0], name=name), change, name=name)


def test_what_another_worker_sent_did_not_begin_here() -> None:
    engine = judge(lambda trace, i: replica(trace, 1.0, "w"))
    assert engine.origin is not None and engine.origin.source is Source.WORKER
    assert engine.findings()[0].rule == "nonfinite-received"


def test_of_two_replicas_in_one_step_the_one_that_made_it_is_named() -> None:
    def step(trace: Trace, i: int) -> None:
        replica(trace, 1.0, "w")
        replica(trace, 0.0, "w/replica_1")

    engine = judge(step)
    assert origin_of(engine).op_type == "Log"
    assert engine.findings()[0].rule == "log-of-zero"


@pytest.mark.parametrize(("share", "culprit"), [(0.05, "SoftmaxCrossEntropyWithLogits"), (0.0, None)])
def test_logits_masked_with_inf_are_intended_until_a_label_has_a_share_in_them(
    share: float, culprit: str | None
) -> None:
    def step(trace: Trace, i: int) -> None:
        logits = data(trace, [[1.0, 2.0, 0.5], [1.0, 0.0, 2.0]])
        legal = np.array([[True, True, False], [True, True, True]])
        masked = op(
            trace, "SelectV2", np.where(legal, logits.array, np.float32(-np.inf)), Node(-1, logits.array), logits,
            literal(trace, -np.inf),
        )  # fmt: skip
        labels = data(trace, [[1.0 - share, 0.0, share], [0.0, 0.0, 1.0]])
        log = masked.array - np.log(np.exp(masked.array).sum(1, keepdims=True))
        loss = -np.where(labels.array > 0, labels.array * log, 0).sum(1).astype(np.float32)
        returned_mean(trace, op(trace, "SoftmaxCrossEntropyWithLogits", loss, masked, labels))

    engine = judge(step, steps=3)
    if culprit is None:
        assert engine.origin is None
    else:
        assert origin_of(engine).op_type == culprit
        assert engine.findings()[0].rule == "cross-entropy-masked-label"


def test_a_literal_inf_that_reaches_the_loss_without_a_softmax_is_still_told() -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [1.0, 2.0])
        chosen = np.array([1.0, -np.inf], np.float32)
        returned_mean(trace, op(trace, "SelectV2", chosen, Node(-1, x.array), x, literal(trace, -np.inf)))

    assert origin_of(judge(step)).op_type == "SelectV2"


def test_nan_in_the_data_is_said_to_be_in_the_data() -> None:
    engine = judge(unary("Relu", lambda x: np.maximum(x, 0), [np.nan, 1.0]))
    assert engine.origin is not None and engine.origin.source is Source.INPUT
    assert engine.findings()[0].rule == "nonfinite-input"


@pytest.mark.parametrize("op_type", ["Mystery", "SomeCustomOp"])
def test_an_op_of_no_family_can_be_the_origin(op_type: str) -> None:
    engine = judge(unary(op_type, lambda x: x / 0, [0.0, 1.0]))
    assert origin_of(engine).op_type == op_type
    assert engine.findings()[0].rule == "invalid-operation"


# ---- what is no harm ----------------------------------------------------------------------------


def test_nan_thrown_away_by_a_mask_is_no_harm() -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [-1.0, 1.0])
        log = op(trace, "Log", np.log(x.array), x)
        zero = literal(trace, [0.0, 0.0])
        chosen = np.where(x.array > 0, log.array, zero.array)
        returned_mean(trace, op(trace, "SelectV2", chosen, Node(-1, x.array), log, zero))

    engine = judge(step, steps=3)
    assert engine.origin is None and engine.findings() == []


def test_a_returned_tensor_may_hold_inf_but_a_scalar_may_not() -> None:
    def tensor(trace: Trace, i: int) -> None:
        x = data(trace, [1.0, 2.0])
        op(trace, "AddV2", np.array([-np.inf, 2.0], np.float32), x, literal(trace, [-np.inf, 0.0]), returned=True)

    assert judge(tensor).origin is None
    assert judge(unary("Exp", np.exp, [1000.0])).origin is not None


def test_infinite_gradients_that_reach_no_variable_are_a_loss_scale_retry() -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [300.0, 2.0], np.float16)
        loss = returned_mean(trace, x)
        scaled = op(trace, "Mul", x.array * np.float16(1000), x, role=Role.GRADIENT, gradient_of=loss.slot)
        op(trace, "Cast", scaled.array.astype(np.float32), scaled, role=Role.OPTIMIZER, returned=True)
        if i > 0:
            update(trace, variable(trace, [1.0]), data(trace, [0.1]))

    assert judge(step).findings() == []


def test_a_variable_that_starts_at_inf_on_purpose_is_no_harm() -> None:
    def step(trace: Trace, i: int) -> None:
        best = variable(trace, [np.inf if i == 0 else 0.5], name="best", trainable=False)
        loss = data(trace, [0.5])
        low = op(trace, "Minimum", np.minimum(best.array, loss.array), best, loss)
        returned_mean(trace, low)

    assert judge(step, steps=2).findings() == []


# ---- gradients ----------------------------------------------------------------------------------


def log_gradient(trace: Trace, masked: bool) -> None:
    """Trains w on mean(where(x > 0, w * log(x), 0)), or on mean(w * log(x))."""
    x, w = data(trace, [-1.0, 1.0]), variable(trace, [1.0, 1.0])
    log = op(trace, "Log", np.log(x.array), x)
    product = op(trace, "Mul", w.array * log.array, w, log)
    shown = product
    if masked:
        zero = literal(trace, [0.0, 0.0])
        chosen = np.where(x.array > 0, product.array, 0).astype(np.float32)
        shown = op(trace, "SelectV2", chosen, Node(-1, x.array), product, zero)
    returned_mean(trace, shown)
    upstream = data(trace, [0.0, 0.5] if masked else [0.5, 0.5])
    gradient = op(trace, "Mul", upstream.array * log.array, upstream, log, role=Role.GRADIENT, gradient_of=product.slot)
    update(trace, w, gradient)


def test_the_where_trap_is_told_from_a_plain_log() -> None:
    trapped = judge(lambda trace, i: log_gradient(trace, masked=True))
    plain = judge(lambda trace, i: log_gradient(trace, masked=False))
    assert origin_of(trapped).op_type == origin_of(plain).op_type == "Log"
    assert trapped.findings()[0].rule == "where-gradient-trap"
    assert plain.findings()[0].rule == "log-of-negative"


def test_a_gradient_that_fails_with_its_forward_op_is_blamed_on_the_forward_op() -> None:
    def step(trace: Trace, i: int) -> None:
        p, w = data(trace, [0.0, 0.5]), variable(trace, [1.0, 1.0])
        log = op(trace, "Log", np.log(p.array), p)
        returned_mean(trace, log)
        inverse = op(trace, "Reciprocal", 1 / p.array, p, role=Role.GRADIENT, gradient_of=log.slot)
        update(trace, w, inverse)

    assert origin_of(judge(step)).op_type == "Log"


def test_a_gradient_that_fails_alone_is_itself_the_origin() -> None:
    def step(trace: Trace, i: int) -> None:
        x, w, upstream = data(trace, [0.0, 4.0]), variable(trace, [1.0, 1.0]), data(trace, [1.0, 1.0])
        root = op(trace, "Sqrt", np.sqrt(x.array), x)
        returned_mean(trace, root)
        gradient = op(
            trace, "SqrtGrad", upstream.array / (2 * root.array), root, upstream, role=Role.GRADIENT,
            gradient_of=root.slot,
        )  # fmt: skip
        update(trace, w, gradient)

    engine = judge(step)
    assert origin_of(engine).op_type == "SqrtGrad"
    assert engine.findings()[0].rule == "sqrt-gradient-at-zero"


def test_of_two_origins_the_one_that_did_more_harm_is_told() -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [3e38, 1.0])
        a, b, c = (variable(trace, [1.0, 1.0], name=name) for name in "abc")
        small = op(trace, "Mul", x.array * np.float32(10), x, line=4)
        update(trace, a, small, "a")
        large = op(trace, "Square", np.square(x.array), x, line=6)
        update(trace, b, large, "b")
        update(trace, c, large, "c")

    assert origin_of(judge(step)).op_type == "Square"


# ---- over steps ---------------------------------------------------------------------------------


def test_one_origin_a_session_later_bad_steps_are_counted() -> None:
    run = make_run("nan_softmax_log")
    engine = Engine()
    engine.extend(run.sites)
    for record in run.records:
        engine.feed(record)
    errors = [f for f in engine.findings() if f.severity.value == "error"]
    assert [f.rule for f in errors] == ["log-of-zero"]
    assert (errors[0].first_step, errors[0].last_step, errors[0].count) == (57, 79, 23)
    assert errors[0].slot == run.slot("Log")
    assert engine.verdict().step == 57


def test_a_variable_that_was_bad_before_the_first_record_is_said_so() -> None:
    run = make_run("nan_softmax_log")
    engine = Engine()
    engine.extend(run.sites)
    engine.feed(dataclasses.replace(run.records[60], first_nonfinite=None))
    assert engine.origin is not None and engine.origin.source is Source.VARIABLE
    assert engine.findings()[0].rule == "nonfinite-variable"


def test_a_late_replay_of_the_first_bad_step_corrects_the_origin() -> None:
    run = make_run("nan_softmax_log")
    engine = Engine()
    engine.extend(run.sites)
    for step in (0, 50, 60, 57):
        engine.feed(dataclasses.replace(run.records[step], first_nonfinite=None))
    assert engine.origin is not None
    assert (engine.origin.step, engine.origin.slot) == (57, run.slot("Log"))
    assert engine.findings()[0].count == 2


def test_an_origin_whose_record_was_sampled_away_is_told_by_later_records() -> None:
    run = make_run("nan_softmax_log")
    engine = Engine()
    engine.extend(run.sites)
    engine.feed(run.records[70])
    assert engine.origin is not None
    assert (engine.origin.step, engine.origin.slot) == (57, run.slot("Log"))
    assert engine.findings()[0].rule == "log-of-zero"


@pytest.mark.parametrize(("same", "culprit"), [(True, "RealDiv"), (False, "Placeholder")])
def test_an_argument_that_an_earlier_function_returned_is_followed_into_it(same: bool, culprit: str) -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [0.0, 0.0, 1.0])
        ratio = op(trace, "RealDiv", x.array / x.array, x, x, returned=True)
        given = data(trace, ratio.array if same else [np.nan, np.nan, 2.0])
        w = variable(trace, np.ones(3))
        update(trace, w, op(trace, "Mul", given.array * w.array, given, w, role=Role.GRADIENT))

    assert origin_of(judge(step)).op_type == culprit


# ---- loops --------------------------------------------------------------------------------------


def row(bad_from: float = np.nan, nan: float = 0, inf: float = 0, overflow: float = np.nan) -> Row:
    """A row of a loop body's op over all its runs."""
    out: Row = empty_rows(1)[0]
    for name, value in dict(
        size=100, nan=nan, pos_inf=inf, neg_inf=0, zero=0, max_exp=3, min_exp=-3, min=-8, max=8, overflow=overflow
    ).items():
        out[INDEX[name]] = value
    out[INDEX["first_bad_call"]] = bad_from
    return out


def body(op_type: str, *inputs: int, **fields: Any) -> OpSite:
    return OpSite(op_type, op_type, graph="while/body", looped=True, inputs=inputs, shape=(4,), **fields)


def test_in_a_loop_the_first_iteration_decides_not_the_order_of_slots() -> None:
    """In h = relu(h @ W + x) the sum overflows in run 40, the product shows it from run 41 on."""
    sites = [
        OpSite("ReadVariableOp", "W", role=Role.VARIABLE, trainable=True),
        body("MatMul", -1, 0),
        body("AddV2", 1, -1),
        body("Relu", 2),
        OpSite("While", "while", inputs=(-1, 3), shape=(4,)),
        OpSite("Mean", "loss", inputs=(4,), shape=(), returned=True),
    ]
    table = np.array(
        [row(), row(41, nan=9), row(40, nan=9, inf=1, overflow=1), row(40, nan=9), row(0, nan=1), row(0, nan=1)]
    )
    origin = find_origin(OpGraph(sites), table, 0)
    assert origin is not None and origin.slot == 2


def test_a_value_fetched_from_a_list_is_followed_into_the_loop_that_made_it() -> None:
    sites = [
        OpSite("Placeholder", "x", role=Role.INPUT),
        body("MatMul", 0, -1),
        body("Tanh", 1),
        OpSite("TensorListPopBack", "pop", inputs=(-1, -1), graph="grad/body", looped=True, role=Role.GRADIENT),
        OpSite("Mul", "mul", inputs=(3, -1), graph="grad/body", looped=True, role=Role.GRADIENT),
        OpSite("AssignSubVariableOp", "new", inputs=(-1, 4), role=Role.UPDATE, trainable=True, variable="w"),
    ]
    table = np.array([row(), row(3, inf=2), row(3, nan=2), row(0, nan=2), row(0, nan=2), row(0, nan=2)])
    origin = find_origin(OpGraph(sites), table, 0)
    assert origin is not None and origin.slot == 1


def test_the_numbers_of_the_sentence_are_given_by_name() -> None:
    engine = judge(binary("RealDiv", np.divide, [1.0, 2.0], [0.0, 1.0]))
    assert origin_of(engine).op_type == "RealDiv"
    assert engine.findings()[0].numbers == {"y.zero": 1.0, "y.size": 2.0, "x.zero": 0.0, "x.size": 2.0}
