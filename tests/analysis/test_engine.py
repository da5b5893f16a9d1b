"""The engine over whole sessions: one verdict live and from a log, silence on healthy runs, linear cost."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from tb_numstab.analysis.engine import Engine, analyse
from tb_numstab.analysis.finding import Severity, Status
from tb_numstab.schema.names import NOT_REPRODUCED
from tb_numstab.store.event_files import read_runs
from tests.analysis.programs import data, judge, literal, op, returned_mean, unary, variable
from tests.support.numpy_trace import Node, Trace
from tests.support.runs import SCENARIOS, SyntheticRun, make_run
from tests.support.synthetic import scaled_run

EXPECTED = {
    "healthy": (Status.HEALTHY, None, None),
    "nan_softmax_log": (Status.BROKEN, "log-of-zero", 57),
    "fp16_overflow": (Status.BROKEN, "product-overflow", 33),
    "absorbed_updates": (Status.BROKEN, "update-lost", 2),
}


def fed(run: SyntheticRun) -> Engine:
    engine = Engine()
    engine.extend(run.sites)
    for record in run.records:
        engine.feed(record)
    return engine


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_training_gets_its_verdict(name: str) -> None:
    engine = fed(make_run(name))
    status, rule, step = EXPECTED[name]
    verdict = engine.verdict()
    assert verdict.status is status
    if rule is None:
        assert engine.findings() == [] and verdict.finding is None
        assert verdict.text == "No numerical problem in 80 measured steps of 81 tensors."
    else:
        assert verdict.finding is not None and (verdict.finding.rule, verdict.step) == (rule, step)
        assert "train.py:" in verdict.text


def test_a_warning_comes_well_before_the_failure_and_names_the_step() -> None:
    run = make_run("nan_softmax_log")
    engine = Engine()
    engine.extend(run.sites)
    for record in run.records[:50]:
        engine.feed(record)
    (warning,) = engine.findings()
    assert engine.verdict().status is Status.AT_RISK
    assert warning.severity is Severity.WARNING and warning.site.op_type == "Log"
    assert warning.first_step <= 45
    told = re.search(r"steps \((\d+)-(\d+)\) from step 49$", warning.forecast)
    assert told is not None, warning.forecast
    low, high = int(told[1]), int(told[2])
    assert 49 + low <= 62 and 49 + high >= 57  # it fails at step 57, faster and faster


@pytest.mark.parametrize("name", ["nan_softmax_log", "absorbed_updates"])
def test_a_log_is_judged_as_the_training_was(tmp_path: Path, name: str) -> None:
    run = make_run(name)
    (read,) = read_runs(str(run.write(tmp_path / name)))
    analysis, live = analyse(read.sessions[-1]), fed(run)
    assert [(f.rule, f.slot, f.first_step, f.count) for f in analysis.findings] == [
        (f.rule, f.slot, f.first_step, f.count) for f in live.findings()
    ]
    assert analysis.verdict.text.split(".")[0] == live.verdict().text.split(".")[0]
    size = len(run.sites)
    for values in (analysis.headroom_up, analysis.headroom_down, analysis.worst_up, analysis.worst_down):
        assert values.shape == (size,)


def test_a_session_without_records_is_healthy() -> None:
    engine = Engine()
    assert engine.verdict().status is Status.HEALTHY
    assert engine.findings() == [] and engine.origin is None


def test_a_table_that_grows_keeps_what_was_found() -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [89.0 if i == 2 else 80.0])
        returned_mean(trace, op(trace, "Exp", np.exp(x.array), x))
        if i >= 1:
            returned_mean(trace, data(trace, [1.0]))

    engine = judge(step, steps=4)
    (finding,) = engine.findings()
    assert finding.rule == "exp-overflow"
    assert finding.why[-1].text == "warned of since step 0: Exponential close to overflow"
    assert engine.graph.size == 5


def test_each_op_keeps_its_own_count_where_a_grown_table_lets_a_rule_look_at_more_of_them() -> None:
    def divided_by(trace: Trace, difference: Node) -> None:
        divisor = op(trace, "AddV2", difference.array + 1, difference, literal(trace, 1.0))
        returned_mean(trace, op(trace, "RealDiv", 1 / divisor.array, literal(trace, 1.0), divisor))

    def step(trace: Trace, i: int) -> None:
        """Two differences that are nothing but rounding; the first is divided by from step 2 on."""
        x = data(trace, [1.0, 2.0])
        square = op(trace, "Mul", x.array**2, x, x)
        first, second = (op(trace, "Sub", 0 * x.array, square, square, line=line) for line in (6, 7))
        divided_by(trace, second)
        if i >= 2:
            divided_by(trace, first)

    def told(steps: int) -> list[tuple[int, int, int]]:
        found = [f for f in judge(step, steps).findings() if f.rule == "cancelled-before-pole"]
        return [(f.site.source.line, f.first_step, f.count) for f in found if f.site.source]

    assert told(3) == [(7, 2, 1)]
    assert told(4) == [(7, 2, 2)]
    assert told(5) == [(7, 2, 3), (6, 4, 1)]


def test_a_record_of_slots_the_table_does_not_hold_yet_is_judged_as_far_as_it_goes() -> None:
    run = make_run("nan_softmax_log")
    engine = Engine()
    engine.extend(run.sites[:40])
    engine.feed(run.records[57])
    assert engine.graph.size == 40


def test_a_record_of_nothing_is_no_problem() -> None:
    run = make_run("healthy", steps=2)
    empty = dataclasses.replace(
        run.records[0], slots=run.records[0].slots[:0], rows=run.records[0].rows[:0],
        histogram=run.records[0].histogram[:0],
    )  # fmt: skip
    engine = Engine()
    engine.extend(run.sites)
    engine.feed(empty)
    assert engine.findings() == []


@pytest.mark.parametrize(("apart", "records"), [(1, 3), (50, 2)])
def test_patience_counts_records_but_two_far_apart_are_enough(apart: int, records: int) -> None:
    run = make_run("absorbed_updates")
    engine = Engine()
    engine.extend(run.sites)
    for i in range(records):
        assert engine.findings() == []
        engine.feed(dataclasses.replace(run.records[i], step=i * apart))
    assert [f.rule for f in engine.findings()] == ["update-lost"]


def test_a_value_that_heals_is_told_once_and_the_watch_goes_on() -> None:
    def step(trace: Trace, i: int) -> None:
        unary("Exp", np.exp, [100.0 if i == 3 else 1.0])(trace, i)

    engine = judge(step, steps=10)
    (finding,) = engine.findings()
    assert (finding.first_step, finding.last_step, finding.count) == (3, 3, 1)


def train_w(trace: Trace, w: float, i: int) -> None:
    """One step of a training that draws from a hidden state: measured again, step 2 stays finite."""
    trace.notes = (NOT_REPRODUCED,) if i == 2 else ()
    returned_mean(trace, op(trace, "Relu", np.full(2, w, np.float32), variable(trace, [w, w])))


def test_a_bad_step_that_could_not_be_measured_again_is_no_healthy_run() -> None:
    verdict = judge(lambda trace, i: train_w(trace, 1.0, i), steps=4).verdict()
    assert (verdict.status, verdict.step) == (Status.BROKEN, 2)
    assert "its origin is unknown" in verdict.text


def test_the_variable_it_left_nan_is_named() -> None:
    engine = judge(lambda trace, i: train_w(trace, np.nan if i == 3 else 1.0, i), steps=4)
    (finding,) = engine.findings()
    assert (finding.rule, finding.first_step, finding.last_step) == ("nonfinite-step-not-reproduced", 2, 3)
    assert finding.site.variable == "w"


@pytest.mark.parametrize(("factor", "op_type", "certainty"), [(1e25, "Mul", "possible"), (1e10, "", "event")])
def test_a_product_that_is_finite_in_one_order_only_is_its_possible_cause(
    factor: float, op_type: str, certainty: str
) -> None:
    def step(trace: Trace, i: int) -> None:
        """(w * 1e-30) * factor, finite as it was measured in step 2; the training left w NaN."""
        trace.notes = (NOT_REPRODUCED,) if i == 2 else ()
        w = variable(trace, [np.nan if i == 3 else 1e25])
        kernel, v = data(trace, [1e-30]), data(trace, [factor if i == 2 else 1.0])
        first = op(trace, "Mul", w.array * kernel.array, w, kernel)
        returned_mean(trace, op(trace, "Mul", first.array * v.array, first, v))

    for steps, elsewhere in ((3, "Mean"), (4, "ReadVariableOp")):
        (finding,) = judge(step, steps).findings()
        assert (finding.rule, finding.first_step) == ("nonfinite-step-not-reproduced", 2)
        assert finding.site.op_type == (op_type or elsewhere)
        assert finding.certainty.value == certainty
        assert ("optimizer" in finding.title) == bool(op_type)


def test_an_origin_that_was_measured_goes_before_one_that_is_unknown() -> None:
    def step(trace: Trace, i: int) -> None:
        trace.notes = (NOT_REPRODUCED,) if i == 2 else ()
        unary("Log", np.log, [0.0 if i == 3 else 1.0])(trace, i)

    assert [f.rule for f in judge(step, steps=4).findings()] == ["log-of-zero"]


def test_no_python_code_runs_per_slot(tmp_path: Path) -> None:
    """Every pass over the slots is numpy's, so the cost of a record is that of its cells."""

    def calls(slots: int) -> int:
        scaled_run(tmp_path / str(slots), slots, 3).close()
        (run,) = read_runs(str(tmp_path / str(slots)))
        session = run.sessions[0]
        first, *others = session.records()
        engine = Engine()
        engine.extend(session.table)
        engine.feed(first)
        count = 0

        def profile(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(profile)
        try:
            for record in others:
                engine.feed(record)
        finally:
            sys.setprofile(None)
        return count

    assert calls(16_000) < 1.5 * calls(1_000)
