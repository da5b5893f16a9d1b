"""A TensorFlow that lacks something private, or has it otherwise: the user is told, and the training is what it was."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

EAGER = "tensorflow.python.eager"
FUNCTIONS = f"{EAGER}.polymorphic_function"

NO_HOOK = (
    "tensorflow.python.framework.op_callbacks:add_op_callback",
    "tensorflow.python.framework.op_callbacks:remove_op_callback",
    "tensorflow.python.framework.registry:Registry.lookup",
    "tensorflow.python.framework.func_graph:func_graph_from_py_func",
    "tensorflow.python.ops.summary_ops_v2:_summary_state",
    f"{FUNCTIONS}.polymorphic_function:Function",
    f"{FUNCTIONS}.concrete_function:ConcreteFunction._call_flat",
    f"!{EAGER}.context:context",
)
"""Without these nothing is measured, as is known before the training begins."""

LESS = (
    f"{FUNCTIONS}.tracing_compilation:trace_function",
    f"{EAGER}.record:stop_recording",
    "!tensorflow.python.framework.op_callbacks:add_op_callback",
    "!tensorflow.python.framework.op_callbacks:remove_op_callback",
    f"!{FUNCTIONS}.tracing_compilation:TracingOptions",
    "!tensorflow.python.util.tf_stack:extract_stack",
    "tensorflow.python.data.ops.map_op:_MapDataset",
)
"""Without these some steps are not measured, as shows when one should be."""


@cache
def trained() -> dict[str, Any]:
    """What became of the trainings with each of them, by name."""
    command = [sys.executable, "-m", "tests.support.other_tensorflow", *NO_HOOK, *LESS]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=900)
    outcomes = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(outcomes) == len(NO_HOOK) + len(LESS), run.stderr
    return {outcome["what"]: outcome for outcome in outcomes}


@pytest.mark.parametrize("what", NO_HOOK)
def test_without_the_hook_nothing_is_measured_and_that_is_said_once(what: str) -> None:
    outcome = trained()[what]
    assert outcome["same"] == [True] * 3
    (message,) = outcome["said"]
    assert "so nothing is measured" in message and message.endswith("Training goes on unchanged.")


@pytest.mark.parametrize("what", LESS)
def test_with_less_the_steps_that_are_not_measured_are_named(what: str) -> None:
    outcome = trained()[what]
    assert outcome["same"] == [True] * 3
    told = [message for message in outcome["said"] if message.endswith("Training goes on unchanged.")]
    assert told and len(set(told)) == len(told)
    assert any("is not measured" in message for message in told)
