"""How large logs do: the tab's first view, its routes, its memory and ``tb-numstab check``, beside what they should be.

    python -m benchmarks.scale [--quick] [--slots 20000] [--records 2000] [--runs 100]

(or ``make scale``). Two folders are written by benchmarks.big_log, one long run and many short ones, and each is
looked at through both of TensorBoard's loaders. With ``--logs FOLDER`` they are kept, and used again. A missed target
is told; the exit status is 1 only where an answer is wrong or lost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from tests.support.tensorboard_process import TensorBoardProcess

ROUTE_MS, FIRST_VIEW_S, CHECK_S, MEMORY_RATIO = 300, 2.0, 30.0, 1.5
LOADERS = {"data server": "--load_fast=true", "Python": "--load_fast=false"}
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
ASKED = 20
"""Times that each route is asked."""

OPEN_RUNS = 8
"""Of many runs people look at some."""

PATIENCE_MS = 200
"""What the tab gives an answer about a run that is not judged yet: then it is about the records that are, and the tab
asks again."""

PAUSE_S = {"overview": 0.2, "verdict": 0.0}
"""How long the tab waits before that."""

REST_S = 12.0
"""TensorBoard's Python loader holds what it read the log with, up to as much again, until it looks at the folder the
next time, 5 seconds later. That is no memory of the plugin."""


@dataclass(frozen=True)
class Shape:
    """Size of a log folder."""

    name: str
    runs: int
    slots: int
    records: int

    @property
    def cells(self) -> int:
        """Rows of counters in all records."""
        return self.runs * self.slots * self.records

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return f"{runs} x {self.slots:,} slots x {self.records:,} records"


def written(shape: Shape, logs: Path) -> Path:
    """The folder's path; written by a process of its own, so that this one stays without TensorFlow."""
    folder = logs / shape.name
    if not folder.exists():
        size = ["--runs", str(shape.runs), "--slots", str(shape.slots), "--records", str(shape.records)]
        subprocess.run([sys.executable, "-m", "benchmarks.big_log", str(folder), *size], check=True)
    return folder


# ---- the tab --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """One answer: how long it took in seconds, its JSON, its size in bytes."""

    seconds: float
    value: Any
    size: int


def ask(address: str, route: str, **query: object) -> Answer:
    """One GET of a route of the plugin."""
    started = time.perf_counter()
    with urllib.request.urlopen(f"{address}data/plugin/numstab/{route}?{urlencode(query)}", timeout=600) as response:
        body = response.read()
    return Answer(time.perf_counter() - started, json.loads(body), len(body))


def measure_tab(shape: Shape, folder: Path, loader: str, log: Path) -> Iterator[str]:
    """Starts TensorBoard, opens the tab, walks through its pages; a line of a report for each result."""
    stored = sum(file.stat().st_size for file in folder.rglob("*tfevents*"))
    with TensorBoardProcess(folder, LOADERS[loader], log=log) as server:
        started = time.perf_counter()
        runs = loaded(server.address, shape)
        yield f"loaded {stored / 1e6:,.0f} MB, {seconds(time.perf_counter() - started)} after the port was open"
        time.sleep(REST_S)
        ask(server.address, "runs")  # after an answer the plugin gives freed memory back, whoever held it
        before = server.memory()
        views = [ask(server.address, "runs"), ask(server.address, "overview", run=runs[0], patience=PATIENCE_MS)]
        took = sum(view.seconds for view in views)
        judged = views[1].value["judged"] / shape.records
        yield f"first view: {seconds(took)}{target(took, FIRST_VIEW_S, 's')}, {judged:.0%} judged by then"
        yield from measure_first_looks(server.address, runs, shape)
        yield from measure_routes(server.address, runs[:OPEN_RUNS])
        held = server.memory() - before
        ratio = held / stored
        yield f"memory of the plugin: {held / 1e6:.0f} MB, {ratio:.2f} of the log{target(ratio, MEMORY_RATIO, '')}"


def loaded(address: str, shape: Shape) -> list[str]:
    """Names of the runs, once TensorBoard has read every record."""
    while True:
        runs = ask(address, "runs").value["runs"]
        if len(runs) == shape.runs and all(s["records"] == shape.records for r in runs for s in r["sessions"]):
            return [run["name"] for run in runs]
        time.sleep(0.5)


def measure_first_looks(address: str, runs: Sequence[str], shape: Shape) -> Iterator[str]:
    """Opens runs that nobody had looked at, while the list of runs collects every run's verdict, as in the tab."""
    started = time.perf_counter()
    with ThreadPoolExecutor() as other:
        listed = other.submit(lambda: [until_whole(address, "verdict", run) for run in runs])
        opened = [until_whole(address, "overview", run) for run in runs[: -ASKED - 1 : -1]]
        looks = {"overview": opened, "verdict": listed.result()}
    yield f"every run judged: {seconds(time.perf_counter() - started)}"
    for route, answers in looks.items():
        assert all(answer[-1].value["judged"] == shape.records for answer in answers), "records are lost"
        yield summed_up(f"/{route}, first looks", [single for answer in answers for single in answer])


def until_whole(address: str, route: str, run: str) -> list[Answer]:
    """Asks about a run until all of its records are judged."""
    answers = [ask(address, route, run=run, patience=PATIENCE_MS)]
    while (view := answers[-1].value)["judged"] < (
        view["records"] if route == "verdict" else view["session"]["records"]
    ):
        time.sleep(PAUSE_S[route])
        answers.append(ask(address, route, run=run, patience=PATIENCE_MS))
    return answers


def summed_up(what: str, answers: Sequence[Answer]) -> str:
    """How long answers took."""
    milliseconds = sorted(answer.seconds * 1e3 for answer in answers)
    middle, high = statistics.median(milliseconds), milliseconds[round(0.95 * (len(milliseconds) - 1))]
    return f"{what}: median {middle:.0f} ms, 95 % {high:.0f} ms{target(high, ROUTE_MS, 'ms')}"


def measure_routes(address: str, runs: Sequence[str]) -> Iterator[str]:
    """Asks each route for what people look at: any op, any step, any part of the map, of runs that they opened."""
    random = Random(0)
    for run in runs:
        until_whole(address, "overview", run)
    largest = 0
    for route in ("runs", "verdict", "overview", "op", "ops", "map", "interactions", "layers", "precision", "compare"):
        if route == "compare" and len(runs) < 2:
            continue
        answers = [ask(address, route, **query(route, address, runs, random)) for _ in range(ASKED)]
        largest = max(largest, *(answer.size for answer in answers))
        yield summed_up(f"/{route}", answers)
    yield f"largest answer: {largest / 1e6:.2f} MB"


def query(route: str, address: str, runs: Sequence[str], random: Random) -> dict[str, object]:
    """Parameters for one question."""
    run = random.choice(runs)
    if route == "runs":
        return {}
    if route == "op":
        found = ask(address, "ops", run=run, query=random.choice(("AddV2", "MatMul", "Mul", "Softmax"))).value["ops"]
        return {"run": run, "op": random.choice(found)["key"]}
    if route == "ops":
        return {"run": run, "query": random.choice(("matmul", "block_1 dense", "adam", "softmax"))}
    if route == "map":
        first = random.randrange(0, 1000)
        return {"run": run} if random.random() < 0.5 else {"run": run, "first_row": first, "last_row": first + 200}
    if route == "layers":
        return {"run": run, "first": random.choice((0, 24, 48))}
    return {"run": run, "against": random.choice(runs)} if route == "compare" else {"run": run}


# ---- the command line -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """What ``tb-numstab check`` took: seconds by the clock and of the processor, MB of memory."""

    wall: float
    processor: float
    memory: float


def check(folder: Path) -> Check:
    """Judges a folder."""
    command = [sys.executable, "-c", "import sys; from tb_numstab.cli.main import main; sys.exit(main())"]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "check", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 1), "check failed"
    return Check(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def curve(shape: Shape, folder: Path, scratch: Path) -> Iterator[str]:
    """What check takes for the first part of a long run: a file cut off is how a running training ends."""
    (path,) = folder.rglob("*tfevents*")
    for share in SHARES:
        part = scratch / f"part_{share}"
        part.mkdir()
        with path.open("rb") as whole, (part / path.name).open("wb") as cut:
            shutil.copyfileobj(whole, cut)
            cut.truncate(int(path.stat().st_size * share))
        took = check(part).processor
        cells = shape.cells * share
        yield f"check of {cells / 1e6:6.1f} million cells: {took:.1f} s of processor, {took / cells * 1e6:.2f} us each"
        shutil.rmtree(part)


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.1f} s"


def target(value: float, wanted: float, unit: str) -> str:
    """Whether a measured value is what was wanted."""
    return f" (target {wanted:g} {unit}".rstrip() + (": met)" if value <= wanted else ": MISSED)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--slots", type=int, default=20_000, help="of the long run; the short ones have a tenth")
    parser.add_argument("--records", type=int, default=2_000, help="of the long run; the short ones have a tenth")
    parser.add_argument("--runs", type=int, default=100, help="how many short runs")
    parser.add_argument("--quick", action="store_true", help="a thousandth of that, to see that it works")
    parser.add_argument("--logs", type=Path, help="where the logs are kept; they are removed otherwise")
    options = parser.parse_args()
    slots, records, runs = (600, 60, 3) if options.quick else (options.slots, options.records, options.runs)
    shapes = (Shape("long", 1, slots, records), Shape("many", runs, slots // 10, records // 10))
    with tempfile.TemporaryDirectory() as scratch:
        logs = options.logs or Path(scratch) / "logs"
        for shape in shapes:
            folder = written(shape, logs)
            print(f"\n{shape}: {shape.cells / 1e6:.1f} million cells; load {os.getloadavg()[0]:.1f}", flush=True)
            took = check(folder)
            print(
                f"  tb-numstab check: {seconds(took.wall)}{target(took.wall, CHECK_S, 's')}, "
                f"{seconds(took.processor)} of processor, {took.memory:.0f} MB",
                flush=True,
            )
            if shape.runs == 1 and not options.quick:
                for line in curve(shape, folder, Path(scratch)):
                    print(f"  {line}", flush=True)
            for loader in LOADERS:
                for line in measure_tab(shape, folder, loader, Path(scratch) / "tensorboard.txt"):
                    print(f"  {loader}: {line}", flush=True)


if __name__ == "__main__":
    main()
