"""benchmarks/programs: every program keeps to the contract, and a quick share of them is judged right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.cases import judge, meta_of, run_in_process

PROGRAMS = sorted((Path(__file__).parent.parent / "benchmarks" / "programs").glob("*.py"))
FIELDS = {"name", "buggy", "kind", "origin_op_type", "origin_source_marker", "source", "steps", "style"}

QUICK_BUGGY = (
    "batch_norm_by_hand_jit",  # jit_compile
    "masked_mean_where_trap",  # hidden by tf.where
    "silent_cumsum_bf16",  # finite and wrong
    "squashed_policy_log1p",
)
QUICK_HEALTHY = ("ok_masked_mean_no_nan", "ok_survival_cumprod", "ok_where_sqrt_zero")


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
def test_a_bug_is_found_with_its_op_and_line(name: str) -> None:
    path = path_of(name)
    meta = meta_of(path)

    result = run_in_process(path, every=1, seed=0)

    verdict = judge(path, meta, result)
    assert verdict["found"], result["findings"]
    assert (verdict["op"], verdict["line"]) == (True, True), (result["origin_op_type"], result["origin_line"])
    if not meta["kind"].startswith("silent"):
        assert result["nan_step"] is not None
        assert result["first_error_step"] <= result["nan_step"]


@pytest.mark.parametrize("name", QUICK_HEALTHY)
def test_a_healthy_program_gives_no_alarm(name: str) -> None:
    result = run_in_process(path_of(name), every=1, seed=0)

    assert (result["errors"], result["warnings"]) == (0, 0), result["findings"]
    assert result["nan_step"] is None
