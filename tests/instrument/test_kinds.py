"""Every kind of training step: untouched bit for bit, and its NaN named at the very step and line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tb_numstab
from tests.instrument.kinds import (
    BAD,
    EVERY,
    Kind,
    Watched,
    Watching,
    as_written,
    batch,
    eager,
    functions,
    inside_functions,
    keras_fits,
    not_covered,
    origin_line,
    sessions,
    strategies,
)

ROOMS = (functions, inside_functions, as_written, eager, keras_fits, sessions, strategies)
KINDS = [kind for room in ROOMS for kind in room.KINDS]
BAD_STEP: dict[Kind, int] = {keras_fits.four_steps_per_execution: 7}
"""The step that a kind's NaN is found in, where that is not BAD: one call makes batches 4 to 7."""
if importlib.util.find_spec("tf_keras"):
    from tests.instrument.kinds import keras2_fits

    KINDS += keras2_fits.KINDS
    BAD_STEP[keras2_fits.keras2_four_steps_per_execution] = 7


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_nan_is_named_and_training_is_untouched(kind: Kind, tmp_path: Path) -> None:
    plain, watched = Watching(), Watched(tmp_path)
    expected = [np.asarray(v).tobytes() for v in kind(plain)]
    found = [np.asarray(v).tobytes() for v in kind(watched)]

    assert found == expected
    assert watched.health is not None and not watched.health.ok
    origin, finding = watched.health.origin, watched.health.findings[0]
    assert origin is not None and finding.site.source is not None
    assert (finding.site.source.file, finding.site.source.line) == origin_line(kind)
    assert origin.step == BAD_STEP.get(kind, BAD)
    assert watched.measured[0] < BAD and BAD - 1 not in watched.measured


@pytest.mark.parametrize("kind", not_covered.NOT_COVERED, ids=lambda kind: kind.__name__)
def test_what_cannot_be_measured_is_said_and_training_is_untouched(
    kind: Kind, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    watched = Watched(tmp_path)
    expected = [np.asarray(v).tobytes() for v in kind(Watching())]
    found = [np.asarray(v).tobytes() for v in kind(watched)]

    assert found == expected
    (message,) = said()
    assert not_covered.NOT_COVERED[kind] in message and message.endswith("Training goes on unchanged.")


def test_the_last_batch_of_a_fit_is_judged(tmp_path: Path) -> None:
    """Its NaN reaches the weights only: no later loss shows it."""

    def loss(y: Any, p: Any) -> Any:
        return tf.sqrt(y * p)

    model = keras_fits.model_of(loss, optimizer=keras.optimizers.SGD(1e-3))
    x = np.concatenate([batch(i) for i in range(BAD + 1)])
    health = tb_numstab.NumericalHealth(str(tmp_path), every=EVERY)
    model.fit(x, np.ones([len(x), 1], np.float32), batch_size=8, shuffle=False, verbose=0, callbacks=[health])

    assert health.health is not None and health.health.origin is not None
    assert health.health.origin.step == BAD
    assert health.health.findings[0].site.op_type == "SqrtGrad"
