"""benchmarks/programs: every program keeps to the contract, and a quick share of them is judged right."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import judge, meta_of, run_case, run_in_process
from benchmarks.crash import processes

PROGRAMS = sorted((Path(__file__).parent.parent / "benchmarks" / "programs").glob("*.py"))
FIELDS = {"name", "buggy", "kind", "origin_op_type", "origin_source_marker", "source", "steps", "style"}

QUICK_BUGGY = (
    "batch_norm_by_hand_jit",  # jit_compile
    "masked_mean_where_trap",  # hidden by tf.where
    "silent_cumsum_bf16",  # finite and wrong
    "squashed_policy_log1p",
)
QUICK_HEALTHY = ("ok_masked_mean_no_nan", "ok_survival_cumprod", "ok_where_sqrt_zero")


@pytest.fixture(scope="module")
def result_of() -> Iterator[Callable[[str], dict[str, Any]]]:
    """Runs a program by its name, in a process of its own that need not import TensorFlow anew."""
    with processes().Pool(1, maxtasksperchild=1) as pool:
        yield lambda name: pool.apply(run_case, (path_of(name), 1, 0))


def path_of(name: str) -> Path:
    (path,) = [p for p in PROGRAMS if p.stem == name]
    return path


def test_both_sorts_of_program_are_there() -> None:
    buggy = [meta_of(path)["buggy"] for path in PROGRAMS]
    assert buggy.count(True) >= 24
    assert buggy.count(False) >= 16


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_keeps_to_the_contract(path: Path) -> None:
    text, meta = path.read_text(), meta_of(path)

    assert set(meta) == FIELDS
    assert meta["name"] == path.stem
    assert text.startswith("# Source: ")
    assert "tb_numstab" not in text, "a program does not know that it is watched"
    functions = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert "build" in functions
    if meta["buggy"]:
        assert meta["origin_op_type"]
        assert any(line.endswith(meta["origin_source_marker"]) for line in text.splitlines())
    else:
        assert meta["origin_op_type"] is None
        assert meta["origin_source_marker"] is None


@pytest.mark.parametrize("name", QUICK_BUGGY)
def test_a_bug_is_found_with_its_op_and_line(name: str, result_of: Callable[[str], dict[str, Any]]) -> None:
    path = path_of(name)
    meta = meta_of(path)

    result = result_of(name)

    verdict = judge(path, meta, result)
    assert verdict["found"], result["findings"]
    assert (verdict["op"], verdict["line"]) == (True, True), (result["origin_op_type"], result["origin_line"])
    if not meta["kind"].startswith("silent"):
        assert result["nan_step"] is not None
        assert result["first_error_step"] <= result["nan_step"]


@pytest.mark.parametrize("name", QUICK_HEALTHY)
def test_a_healthy_program_gives_no_alarm(name: str, result_of: Callable[[str], dict[str, Any]]) -> None:
    result = result_of(name)

    assert (result["errors"], result["warnings"]) == (0, 0), result["findings"]
    assert result["nan_step"] is None


def test_the_command_runs_a_program_in_an_interpreter_of_its_own() -> None:
    result = run_in_process(path_of("silent_cumsum_bf16"), every=1, seed=0)

    assert result["name"] == "silent_cumsum_bf16"
    assert result["errors"] > 0
