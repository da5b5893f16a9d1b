"""One finding per cause: of a line, of a chain of ops."""

from __future__ import annotations

import numpy as np

from tests.analysis.hazards import differentiated
from tests.analysis.programs import data, judge, op, returned_mean
from tests.support.numpy_trace import Node, Trace


def norm(trace: Trace, line: int) -> tuple[Node, Node]:
    """Data and its norm, a root that a gradient is taken through."""
    x = data(trace, [[3.0, 4.0], [1.0, 0.5]])
    square = op(trace, "Square", np.square(x.array), x, line=line)
    total = op(trace, "Sum", square.array.sum(-1, keepdims=True), square, line=line)
    return x, differentiated(trace, op(trace, "Sqrt", np.sqrt(total.array), total, line=line))


def test_of_hazards_on_one_chain_the_last_speaks() -> None:
    def step(trace: Trace, i: int) -> None:
        (x, root), (_, other) = norm(trace, line=3), norm(trace, line=4)
        product = op(trace, "Mul", root.array * other.array, root, other)
        returned_mean(trace, op(trace, "RealDiv", x.array / product.array, x, product, line=6))

    (warning,) = judge(step).findings()
    assert (warning.rule, warning.site.op_type) == ("denominator-may-vanish", "RealDiv")


def test_an_error_speaks_for_the_hazards_that_lead_to_it() -> None:
    def step(trace: Trace, i: int) -> None:
        _, root = norm(trace, line=3)
        x = data(trace, [[1.0, 2.0], [3.0, 4.0]])
        zero = op(trace, "Mul", 0 * root.array, root, data(trace, [0.0]))
        with np.errstate(divide="ignore"):
            returned_mean(trace, op(trace, "RealDiv", x.array / zero.array, x, zero, line=6))

    assert [f.rule for f in judge(step).findings()] == ["division-by-zero"]


def test_hazards_that_do_not_feed_each_other_both_speak() -> None:
    def step(trace: Trace, i: int) -> None:
        for line in (3, 4):
            returned_mean(trace, norm(trace, line)[1])

    assert [f.rule for f in judge(step).findings()] == ["root-of-zero-possible"] * 2


def test_an_error_speaks_for_the_warnings_about_its_line_and_tells_since_when_they_stood() -> None:
    def step(trace: Trace, i: int) -> None:
        x = data(trace, [89.0 if i == 3 else 80.0])
        returned_mean(trace, op(trace, "Exp", np.exp(x.array), x, line=3))
        returned_mean(trace, norm(trace, line=6)[1])

    before, after = judge(step, steps=3).findings(), judge(step, steps=4).findings()
    assert [f.rule for f in before] == ["exp-near-overflow", "root-of-zero-possible"]
    assert [f.rule for f in after] == ["exp-overflow", "root-of-zero-possible"]
    assert after[0].why[-1].text.startswith("warned of since step 0; at step 2: Exp gets arguments up to 80")


def test_an_error_takes_the_fix_of_the_hazard_that_knew_its_formula() -> None:
    def step(trace: Trace, i: int) -> None:
        z = data(trace, [[30.0, 1.0], [-200.0 if i == 2 else 2.0] * 2])
        e = op(trace, "Exp", np.exp(z.array), z)
        total = op(trace, "Sum", e.array.sum(-1), e)
        returned_mean(trace, op(trace, "Log", np.log(total.array), total, line=6))

    (finding,) = judge(step, steps=3).findings()
    assert finding.rule == "log-of-zero"
    assert "tf.reduce_logsumexp" in finding.fix.after
