"""Measured steps whose own results are bad while every op, measured one by one, stays finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import tb_numstab
from tests.instrument.kinds.functions import angles

LARGE = tf.constant([[1e30], [1e30]])
KERNEL = tf.constant([[0.0, 1e-30], [1e-38, 0.0]])


@tf.function
def transport(rows: Any, kernel: Any, columns: Any) -> Any:
    """Finite from left to right; Grappler multiplies the two small tensors first, and 1e60 is beyond float32."""
    return tf.reduce_sum(rows * kernel * tf.transpose(columns))


def test_a_result_that_only_grappler_makes_nan_is_no_healthy_run(tmp_path: Path) -> None:
    step = tb_numstab.watch(every=1)(transport)
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        assert tf.math.is_finite(step(tf.ones([2, 1]), KERNEL, LARGE))
        assert tb_numstab.log_step(0).ok
        assert tf.math.is_nan(step(LARGE, KERNEL, LARGE))
        health = tb_numstab.log_step(1)
    assert not health.ok
    assert health.findings[0].rule == "nonfinite-step-not-reproduced"
    assert health.findings[0].first_step == 1


def test_raise_does_so_where_the_origin_is_unknown() -> None:
    step = tb_numstab.watch(every=1, on_nonfinite="raise")(transport)
    step(LARGE, KERNEL, LARGE)
    with pytest.raises(tb_numstab.NonFiniteError, match="in another order"):
        tb_numstab.log_step(0)


def test_what_only_xla_makes_nan_is_measured_as_xla_computes_it() -> None:
    @tb_numstab.watch(every=1)
    @tf.function(jit_compile=True)
    def step(angle: Any) -> Any:
        return tf.reduce_sum(tf.sqrt(1.0 - tf.sin(angle) * tf.sin(angle) - tf.cos(angle) * tf.cos(angle)))

    good, bad = angles()
    step(good)
    assert tb_numstab.log_step(0).ok
    assert tf.math.is_nan(step(bad))
    origin = tb_numstab.log_step(1).findings[0]
    assert (origin.site.op_type, origin.first_step) == ("Sqrt", 1)
