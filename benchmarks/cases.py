"""Runs a folder of buggy and healthy training programs under watch and prints what was found.

    python -m benchmarks.cases FOLDER [--every K] [--seed S] [--only NAME] [--json OUT]

A case is a module with META and ``build(seed)`` (see the README beside the cases): its ``step`` is wrapped
by ``tb_numstab.watch``, unmodified, and each case runs in a process of its own.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import fresh

LATE_STEP = 10
"""A case that fails before this step has no room for a warning; lead time leaves it out."""

WANTED_LEAD = 5
"""Steps of warning that leave time to act."""

STUDIED = ("Exp", "Expm1", "Log", "Log1p", "Pow", "RealDiv", "Reciprocal", "Rsqrt", "Sqrt")
"""Op types whose faults the published studies of TensorFlow programs look for: DEBAR, RANUM, GRIST."""

Row = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""META, the result, the verdict of one case."""


# ---- one case, in its own process ---------------------------------------------------------------


def load_case(path: Path) -> ModuleType:
    """The case module at a path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def run_case(path: Path, every: int, seed: int) -> dict[str, Any]:
    """Trains one case under watch, until its first NaN or Inf; the values of ``--json`` for it."""
    import tensorflow as tf  # here: the process that only collects results does without

    import tb_numstab  # before the case builds its Keras layers, as in a user's script

    started = time.perf_counter()
    module = load_case(path)
    case = module.build(seed)
    step = tb_numstab.watch(every=every)(case.step)
    first: dict[str, int] = {}  # severity -> the step that first showed it
    nan_step = None
    with tempfile.TemporaryDirectory() as logdir, tf.summary.create_file_writer(logdir).as_default():
        for i in range(case.n_steps):
            values = step(i)
            health = tb_numstab.log_step(i)
            for finding in health.findings:
                first.setdefault(finding.severity.value, i)
            if not all(math.isfinite(v) for v in values.values()):
                nan_step = i
                break
    errors = [f for f in health.findings if f.severity.value == "error"]
    source = errors[0].site.source if errors else None
    return {
        "name": module.META["name"],
        "seed": seed,
        "steps_run": i + 1,
        "nan_step": nan_step,
        "first_error_step": first.get("error"),
        "first_warning_step": first.get("warning"),
        "origin_op_type": errors[0].site.op_type if errors else None,
        "origin_file": source.file if source is not None else None,
        "origin_line": source.line if source is not None else None,
        "errors": len(errors),
        "warnings": sum(f.severity.value == "warning" for f in health.findings),
        "rules": [f.rule for f in health.findings],
        "findings": [f"{f.severity.value}: {f.summary}" for f in health.findings],
        "seconds": round(time.perf_counter() - started, 2),
    }


# ---- all cases ----------------------------------------------------------------------------------


def run_in_process(path: Path, every: int, seed: int) -> dict[str, Any]:
    """run_case in a fresh interpreter; raises RuntimeError as fresh.answer does."""
    return fresh.answer("benchmarks.cases", "--case", str(path), "--every", str(every), "--seed", str(seed))


def meta_of(path: Path) -> dict[str, Any]:
    """META of a case, read without importing it (a case imports TensorFlow)."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "META":
            assert isinstance(node.value, ast.Call)
            return {k.arg or "": ast.literal_eval(k.value) for k in node.value.keywords}
    raise ValueError(f"{path} has no META")


def judge(path: Path, meta: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Was the case judged right? Values are None where the question does not arise."""
    if not meta["buggy"]:
        return {"found": None, "op": None, "line": None, "lead": None}
    marked = [n for n, text in enumerate(path.read_text().splitlines(), 1) if meta["origin_source_marker"] in text]
    fails_at = result["nan_step"]
    first = min((s for s in (result["first_error_step"], result["first_warning_step"]) if s is not None), default=None)
    return {
        "found": result["errors"] > 0,
        "op": result["origin_op_type"] in meta["origin_op_type"].split("|"),
        "line": result["origin_line"] in marked,
        "lead": fails_at - first if fails_at is not None and fails_at >= LATE_STEP and first is not None else None,
    }


def print_table(rows: list[Row]) -> None:
    """One line per case, then one per op type, then the totals."""
    columns = ("nan", "error", "warn", "E", "W", "op", "line", "lead", "s")
    print(f"{'case':32}" + "".join(f"{c:>6}" for c in columns) + "  origin / first rule")
    for meta, result, verdict in rows:
        cells = (
            *(result[k] for k in ("nan_step", "first_error_step", "first_warning_step", "errors", "warnings")),
            *("-" if verdict[k] is None else "ok" if verdict[k] else "WRONG" for k in ("op", "line")),
            verdict["lead"],
            f"{result['seconds']:.0f}",
        )
        text = "".join(f"{'-' if c is None else c:>6}" for c in cells)
        print(f"{meta['name'][:31]:32}{text}  {result['origin_op_type'] or '-'} / {(result['rules'] or ['-'])[0]}")
    print_op_types(rows)
    print_totals(rows)


def op_type_of(meta: dict[str, Any]) -> str:
    """The op type a buggy case counts for: of several that are right, the first that the studies look for."""
    types: list[str] = meta["origin_op_type"].split("|")
    return next((t for t in types if t in STUDIED), types[0])


def print_op_types(rows: list[Row]) -> None:
    """Recall and origin accuracy by the op at fault, so that no single op carries the score."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for meta, _, verdict in rows:
        if meta["buggy"]:
            by_type.setdefault(op_type_of(meta), []).append(verdict)
    print(f"\n{'op type':48}{'cases':>8}{'found':>8}{'op':>8}{'line':>8}")
    for op_type in sorted(by_type, key=lambda t: (t not in STUDIED, t)):
        verdicts = by_type[op_type]
        counts = (len(verdicts), *(sum(bool(v[k]) for v in verdicts) for k in ("found", "op", "line")))
        name = op_type if op_type in STUDIED else f"{op_type} (in no study)"
        print(f"{name:48}" + "".join(f"{count:>8}" for count in counts))


def print_totals(rows: list[Row]) -> None:
    """Recall, origin accuracy, false alarms, lead time."""
    buggy = [(r, v) for m, r, v in rows if m["buggy"]]
    healthy = [r for m, r, _ in rows if not m["buggy"]]
    late = [v["lead"] for r, v in buggy if r["nan_step"] is not None and r["nan_step"] >= LATE_STEP]

    def share(hits: int, of: int) -> str:
        return f"{hits}/{of}" + (f" ({hits / of:.0%})" if of else "")

    print()
    print(f"buggy cases with an error:       {share(sum(v['found'] for _, v in buggy), len(buggy))}")
    print(f"origin op type right:            {share(sum(v['op'] for _, v in buggy), len(buggy))}")
    print(f"origin source line right:        {share(sum(v['line'] for _, v in buggy), len(buggy))}")
    print(
        f"late failures warned >= {WANTED_LEAD} before: {share(sum((x or 0) >= WANTED_LEAD for x in late), len(late))}"
    )
    print(f"healthy cases with an error:     {share(sum(r['errors'] > 0 for r in healthy), len(healthy))}")
    print(f"healthy cases with > 1 warning:  {share(sum(r['warnings'] > 1 for r in healthy), len(healthy))}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cases", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of case modules")
    parser.add_argument("--every", type=int, default=1, help="measure every K-th step (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(run_case(options.case, options.every, options.seed)))
        return
    if options.folder is None or not options.folder.is_dir():
        parser.error("name a folder of case modules")
    rows = []
    for path in sorted(options.folder.glob("*.py")):
        meta = meta_of(path)
        if options.only in meta["name"]:
            result = run_in_process(path, options.every, options.seed)
            rows.append((meta, result, judge(path, meta, result)))
            print(f"{meta['name']}: {result['seconds']} s", file=sys.stderr)
    print_table(rows)
    if options.json is not None:
        options.json.write_text(json.dumps({"cases": [r for _, r, _ in rows]}, indent=1))


if __name__ == "__main__":
    main()
