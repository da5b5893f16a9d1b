"""What watching costs: ratios to the unwatched step of the same process, interleaved, medians.

    python -m benchmarks.overhead [--quick] [--json OUT] [--models mlp,cnn] [--clock cpu]

Each way of watching runs in a process of its own, beside unwatched steps of the same model; TensorFlow's
check_numerics and Debugger V2 are measured the same way. Ratios carry the spread (quartiles) of the step
times they come from.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import fresh

AMORTISED_STEPS = 10_000
"""Length of the training over which the cost of the default schedule is averaged."""

LOG_STEPS = 200
"""Steps of the comparison of log sizes."""

LEAST_SECONDS = 2.0
"""How long each way of watching is measured, so that the median of short steps holds."""

DEBUGGER = ("CURT_HEALTH", "CONCISE_HEALTH", "FULL_HEALTH")
WAYS = ("ordinary", "survey", "check_numerics", *DEBUGGER)
MODEL_NAMES = ("mlp", "cnn", "transformer", "mobilenet")


# ---- one way, in its own process ------------------------------------------------------------------


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""What a step costs: the time that passes, or that of all cores together, which other programs disturb less."""


def timed(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Seconds that one call took, its result waited for."""
    started = clock()
    result = call()
    getattr(result, "numpy", lambda: None)()
    return clock() - started


def measure(model: str, way: str, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Times unwatched and watched steps in turn: ``rounds`` of each, and more of a model that is quick.

    Returns:
      ``plain`` and ``watched``: seconds of each step; ``plain_first`` and ``watched_first``: seconds of
      the first call; ``bytes``: what was logged; ``slots``: measured tensors, of a survey.
    """
    from benchmarks.models import MODELS

    step = MODELS[model]()
    plain = step.function()
    result: dict[str, Any] = {"plain_first": timed(lambda: plain(*step.batch), clock), "slots": 0}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        watched, finish = _watched(step, way, folder, stack, result)
        result["watched_first"] = timed(watched, clock)
        for call in (watched, lambda: plain(*step.batch)) * 2:
            call()
        result["plain"], result["watched"] = [], []
        until = time.monotonic() + LEAST_SECONDS
        while len(result["plain"]) < rounds or time.monotonic() < until:
            result["plain"].append(timed(lambda: plain(*step.batch), clock))
            result["watched"].append(timed(watched, clock))
        finish()
        result["bytes"] = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
        result["logged"] = len(result["watched"]) + 3
    return result


def _watched(
    step: Any, way: str, folder: str, stack: contextlib.ExitStack, result: dict[str, Any]
) -> tuple[Callable[[], Any], Callable[[], None]]:
    import tensorflow as tf

    if way == "check_numerics":
        tf.debugging.enable_check_numerics()
        function = step.function()
        return lambda: function(*step.batch), lambda: None
    if way in DEBUGGER:
        writer = tf.debugging.experimental.enable_dump_debug_info(folder, way, circular_buffer_size=-1)
        function = step.function()

        def flush() -> None:
            writer.FlushNonExecutionFiles()
            writer.FlushExecutionFiles()

        return lambda: function(*step.batch), flush
    return _health(step, 1 if way == "survey" else 1 << 30, folder, stack, result)


def _health(
    step: Any, every: int, folder: str, stack: contextlib.ExitStack, result: dict[str, Any]
) -> tuple[Callable[[], Any], Callable[[], None]]:
    import tensorflow as tf

    import tb_numstab
    from tb_numstab.store.event_files import read_runs

    writer = tf.summary.create_file_writer(folder)
    stack.enter_context(writer.as_default())
    function = tb_numstab.watch(every=every)(step.function())
    counter = iter(range(1 << 30))

    def call() -> Any:
        loss = function(*step.batch)
        tb_numstab.log_step(next(counter))
        return loss

    def finish() -> None:
        writer.flush()
        session = read_runs(folder)[0].sessions[-1]
        result["slots"] = len(session.record(session.steps[-1]).slots)
        result["record_bytes"] = len(session.encoded[-1])

    return call, finish


def peak_memory(model: str, way: str) -> dict[str, Any]:
    """Largest resident set of a process that trains three steps, in kilobytes."""
    from benchmarks.models import MODELS

    step = MODELS[model]()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        function = step.function()
        call: Callable[[], Any] = (
            (lambda: function(*step.batch)) if way == "plain" else _health(step, 1, folder, stack, {})[0]
        )
        for _ in range(3):
            call()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


# ---- all ways -------------------------------------------------------------------------------------


def in_process(*arguments: str) -> dict[str, Any]:
    """One measurement in a fresh interpreter; {} when TensorFlow itself could not run it."""
    try:
        return fresh.answer("benchmarks.overhead", "--one", *arguments)
    except RuntimeError as error:
        print(f"{' '.join(arguments)} failed: {str(error).splitlines()[-1:]}", file=sys.stderr)
        return {}


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    ordered = sorted(values)
    return ordered[len(ordered) // 4], ordered[len(ordered) // 2], ordered[(3 * len(ordered)) // 4]


def ratio(measured: dict[str, Any]) -> float | None:
    """Median watched step over median unwatched step."""
    return quartiles(measured["watched"])[1] / quartiles(measured["plain"])[1] if measured else None


def spread(measured: dict[str, Any]) -> list[float] | None:
    """The ratio between the quartiles of the watched steps and the unwatched median."""
    if not measured:
        return None
    low, _, high = quartiles(measured["watched"])
    plain = quartiles(measured["plain"])[1]
    return [low / plain, high / plain]


def judge(model: str, rounds: int, clock: str) -> dict[str, Any]:
    """All figures of one model: ratios of medians, and ``spread``, their quartiles."""
    measured = {way: in_process(model, way, str(rounds), clock) for way in WAYS}
    ordinary, survey = measured["ordinary"], measured["survey"]
    memory = [in_process(model, way, "memory", clock).get("peak", 0) for way in ("plain", "survey")]
    figures: dict[str, Any] = {
        "ordinary": ratio(ordinary),
        "survey": ratio(survey),
        "amortised": amortised(ratio(ordinary), ratio(survey)),
        "first_call": survey["watched_first"] / survey["plain_first"] if survey else None,
        "peak_memory": memory[1] / memory[0] if all(memory) else None,
        "bytes_per_slot": survey["record_bytes"] / survey["slots"] if survey else None,
        "bytes_per_step": survey["record_bytes"] if survey else None,
        "check_numerics": ratio(measured["check_numerics"]),
        "spread": {way: spread(measured[way]) for way in WAYS},
    }
    figures |= {way.lower(): ratio(measured[way]) for way in DEBUGGER}
    figures["log_bytes_ratio"] = _log_ratio(measured)
    return figures


def surveyed(steps: int, survey: float) -> list[int]:
    """Steps that the default schedule measures when a measured step takes ``survey`` times a plain one."""
    from tb_numstab.instrument.schedule import Auto

    now = 0.0
    schedule, measured = Auto(clock=lambda: now), []
    for step in range(steps):
        due = schedule.due()
        now += survey if due else 1.0
        if due:
            measured.append(step)
    return measured


def amortised(ordinary: float | None, survey: float | None) -> float | None:
    """The default schedule's ratio over AMORTISED_STEPS steps, its dense start included."""
    if ordinary is None or survey is None:
        return None
    measured = len(surveyed(AMORTISED_STEPS, survey))
    return (measured * survey + (AMORTISED_STEPS - measured) * ordinary) / AMORTISED_STEPS


def _log_ratio(measured: dict[str, dict[str, Any]]) -> float | None:
    """Debugger V2's log over ours for LOG_STEPS steps: what each writes once, and what it writes per step."""
    debugger, survey = measured["CONCISE_HEALTH"], measured["survey"]
    if not debugger or not survey:
        return None
    once = survey["bytes"] - survey["logged"] * survey["record_bytes"]
    records = len(surveyed(LOG_STEPS, ratio(survey) or 1.0))
    ours = once + records * survey["record_bytes"]
    return float(debugger["bytes"] * LOG_STEPS / debugger["logged"] / ours)


ROWS = (
    ("ordinary step", "ordinary"), ("survey step", "survey"), ("amortised, every=auto", "amortised"),
    ("check_numerics", "check_numerics"), ("Debugger V2 CURT_HEALTH", "curt_health"),
    ("Debugger V2 CONCISE_HEALTH", "concise_health"), ("Debugger V2 FULL_HEALTH", "full_health"),
    ("first call", "first_call"), ("peak memory, survey", "peak_memory"), ("bytes per record", "bytes_per_step"),
    ("bytes per slot and record", "bytes_per_slot"), ("Debugger V2's log / ours", "log_bytes_ratio"),
)  # fmt: skip

JSON_KEYS = tuple(key for _, key in ROWS if key != "bytes_per_step")
"""What ``--json`` tells of each model; None where TensorFlow could not run it."""


def table(models: dict[str, dict[str, Any]]) -> str:
    """The table of docs/overhead.md, in Markdown."""
    lines = ["| ratio to unwatched | " + " | ".join(models) + " |", "|---|" + "---:|" * len(models)]
    for title, key in ROWS:
        cells = []
        for figures in models.values():
            value, around = figures.get(key), figures["spread"].get(key)
            text = "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"
            cells.append(text + (f" ({around[0]:.2f}-{around[1]:.2f})" if around else ""))
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no application model")
    parser.add_argument("--models", default="", help=f"comma-separated, of {', '.join(MODEL_NAMES)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--table", type=Path, help="write the Markdown table to this file")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu where other programs run as well")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        model, way, rounds, clock = options.one
        memory = rounds == "memory"
        print(json.dumps(peak_memory(model, way) if memory else measure(model, way, int(rounds), CLOCKS[clock])))
        return
    names = options.models.split(",") if options.models else MODEL_NAMES[: 3 if options.quick else 4]
    figures = {}
    for name in names:
        figures[name] = judge(name, 7 if options.quick else 25, options.clock)
        print(f"{name} done", file=sys.stderr)
    print(table(figures))
    if options.json:
        told = {name: {key: of_model[key] for key in JSON_KEYS} for name, of_model in figures.items()}
        _write(options.json, json.dumps({"models": told}, indent=1))
    if options.table:
        _write(options.table, table(figures))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
