"""What TensorFlow's own tools say about the programs that benchmarks/cases judges tb-numstab by.

    python -m benchmarks.peers FOLDER [--seed S] [--only NAME]

check_numerics stops at the first NaN or Inf that any op makes; Debugger V2 records every step, here with
everything kept (circular_buffer_size=-1) and in its cheapest mode that counts NaN and Inf. Each is asked the
same as tb-numstab: is there an alarm, and are its op type and source line right? Each program runs in a
process of its own, until its first NaN.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import fresh
from benchmarks.cases import judge, load_case, meta_of

PEERS = ("check_numerics", "Debugger V2")

Frames = list[tuple[str, int]]
"""File and line of a stack, outermost first."""


# ---- one program, in its own process --------------------------------------------------------------


def train(path: Path, seed: int) -> None:
    """Runs a program to its end or to its first NaN or Inf."""
    case = load_case(path).build(seed)
    for i in range(case.n_steps):
        if not all(math.isfinite(v) for v in case.step(i).values()):
            return


def check_numerics(path: Path, seed: int) -> dict[str, Any]:
    """The alarm of tf.debugging.enable_check_numerics, {} when there is none."""
    import tensorflow as tf

    tf.debugging.enable_check_numerics()
    try:
        train(path, seed)
    except tf.errors.InvalidArgumentError as error:
        text = error.message
        named = re.search(r'output \d+ of [\w-]+ op "(\w+)"', text)
        if named is None:
            raise
        in_graph = [(name, int(line)) for name, line in re.findall(r"\+ (\S+) \(L(\d+)\)", text)]
        in_python = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
        return alarm(path, named[1], in_graph or in_python)
    return {}


def debugger_v2(path: Path, seed: int) -> dict[str, Any]:
    """The first alert of Debugger V2, {} when there is none."""
    import tensorflow as tf
    from tensorflow.python.debug.lib import debug_events_monitors, debug_events_reader

    with tempfile.TemporaryDirectory() as folder:
        writer = tf.debugging.experimental.enable_dump_debug_info(folder, "CONCISE_HEALTH", circular_buffer_size=-1)
        train(path, seed)
        writer.FlushNonExecutionFiles()
        writer.FlushExecutionFiles()
        with debug_events_reader.DebugDataReader(folder) as reader:
            monitor = debug_events_monitors.InfNanMonitor(reader)
            reader.update()
            alerts = monitor.alerts()
            if not alerts:
                return {}
            first = min(alerts, key=lambda alert: alert.wall_time)
            return alarm(path, first.op_type, stack_of(reader, first))


def stack_of(reader: Any, alert: Any) -> Frames:
    """Where the op of an alert was made, or called when it ran eagerly."""
    if alert.graph_execution_trace_index is None:
        execution = reader.read_execution(reader.executions(digest=True)[alert.execution_index])
        frames = reader.read_execution_stack_trace(execution)[1]
    else:
        event = reader.graph_execution_traces(digest=True)[alert.graph_execution_trace_index]
        made = reader.graph_by_id(event.graph_id).get_op_creation_digest(event.op_name)
        frames = reader.read_graph_op_creation_stack_trace(made)[1]
    return [(frame[0], frame[1]) for frame in frames]


def alarm(path: Path, op_type: str, frames: Frames) -> dict[str, Any]:
    """What a user reads off an alarm: the op type, and the innermost line of the program itself."""
    lines = [line for name, line in frames if name.endswith(path.name)]
    return {"origin_op_type": op_type, "origin_line": lines[-1] if lines else None}


# ---- all programs ---------------------------------------------------------------------------------


def in_process(peer: str, path: Path, seed: int) -> dict[str, Any] | None:
    """The peer's answer in a fresh interpreter; None when TensorFlow did not survive it."""
    try:
        return fresh.answer("benchmarks.peers", "--peer", peer, "--case", str(path), "--seed", str(seed))
    except RuntimeError as error:
        print(f"{path.stem}: {peer} failed: {str(error).splitlines()[-1:]}", file=sys.stderr)
        return None


def score(peer: str, path: Path, meta: dict[str, Any], answer: dict[str, Any] | None) -> str:
    """One word for one program."""
    if answer is None:
        return "crashed"
    if not meta["buggy"]:
        return "false alarm" if answer else "silent, rightly"
    if not answer:
        return "missed"
    no_times = dict.fromkeys(("nan_step", "first_error_step", "first_warning_step"))
    verdict = judge(path, meta, {**no_times, "errors": 1, **answer})
    if verdict["op"] and verdict["line"]:
        return "op and line right"
    return "op right" if verdict["op"] else "line right" if verdict["line"] else "wrong origin"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of case modules")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is not None:
        ask = check_numerics if options.peer == PEERS[0] else debugger_v2
        print(json.dumps(ask(options.case, options.seed)))
        return
    if options.folder is None or not options.folder.is_dir():
        parser.error("name a folder of case modules")
    print(f"{'case':32}" + "".join(f"{peer:>20}" for peer in PEERS))
    totals: Counter[tuple[str, bool, str]] = Counter()
    for path in sorted(options.folder.glob("*.py")):
        meta = meta_of(path)
        if options.only in meta["name"]:
            words = [score(peer, path, meta, in_process(peer, path, options.seed)) for peer in PEERS]
            totals.update((peer, meta["buggy"], word) for peer, word in zip(PEERS, words, strict=True))
            print(f"{meta['name'][:31]:32}" + "".join(f"{word:>20}" for word in words), flush=True)
    for buggy, kind in ((True, "buggy"), (False, "healthy")):
        for peer in PEERS:
            found = {word: n for (p, b, word), n in totals.items() if (p, b) == (peer, buggy)}
            print(f"{peer}, {sum(found.values())} {kind}: " + ", ".join(f"{n} {word}" for word, n in found.items()))


if __name__ == "__main__":
    main()
