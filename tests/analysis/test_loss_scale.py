"""Loss scales at which no step trains, in every form they come in."""

from __future__ import annotations

import numpy as np
import pytest

from tb_numstab.analysis.finding import Finding
from tests.analysis.trainings import scaled_by_hand, steep, watched


def at_the_floor(initial_scale: float) -> dict[str, Finding]:
    """Keras 2 halves its loss scale down to 1, and every gradient overflows even there."""
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(8,))])
        optimizer = tf_keras.optimizers.SGD(0.01)
        scaled = tf_keras.mixed_precision.LossScaleOptimizer(optimizer, initial_scale=initial_scale)
        model.compile(scaled, steep)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    x = np.ones((16, 8), np.float32)
    return watched(lambda i: model.train_on_batch(x, x[:, :1]), steps=30)


@pytest.mark.parametrize("skip", ["cond", "zero", "old"])
def test_a_fixed_scale_that_overflows_in_every_step_is_named_with_the_op(skip: str) -> None:
    finding = scaled_by_hand(2.0**20, skip)["updates-skipped"]
    assert finding.site.op_type == "Cast" and finding.site.dtype == "float16"
    assert "every update since step 0 was skipped" in finding.summary
    assert finding.numbers["n.records"] == 30


@pytest.mark.parametrize("skip", ["cond", "zero", "old"])
def test_a_fixed_scale_that_fits_is_fine(skip: str) -> None:
    assert scaled_by_hand(2.0**8, skip) == {}


def test_a_scale_that_has_come_down_to_1_for_nothing_is_told_with_its_value() -> None:
    finding = at_the_floor(initial_scale=16.0)["updates-skipped"]
    assert finding.summary.endswith("The loss scale is 1.")
