"""Logs that no tb-numstab ever wrote: nonsense in well-formed events, ops in circles, damaged bytes, bombs.

``python -m tests.fuzz --seconds 60`` (or ``make fuzz``) writes such logs, reads each through the store, the analysis
and every page of a report, asks the tab's routes about it, and stops at the first failure with the seed that repeats
it. Processor time, memory and the size of an answer are bounded.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.plugins.base_plugin import TBContext

from tb_numstab.analysis.families import FAMILY_OF
from tb_numstab.plugin.backend import NumericalHealthPlugin
from tb_numstab.plugin.loader import Loader
from tb_numstab.report.answers import answers
from tb_numstab.schema.columns import COLUMNS
from tb_numstab.schema.formats import FORMATS
from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.schema.record import StepRecord
from tb_numstab.store.event_files import read_runs
from tests.support.client import Client
from tests.support.hostile import write_bomb, write_damaged
from tests.support.readers import python_provider
from tests.support.runs import SyntheticRun, make_run
from tests.support.synthetic import Recorder

EXTREMES = (0.0, -1.0, 1.0, 0.5, 1e18, -1e18, np.nan, 32767.0, -32767.0)
VALUES = (*EXTREMES, np.inf, -np.inf, 1.7e308, -1.7e308, 5e-324)
WORDS = ("", "?", "Log", "Add", "While", "a/b/c", "\ud800", "</script>", "x" * 2000, "\x00", "naïve ∞", "..")
INT64 = 2**62

MAX_ANSWER = 8 << 20
"""Bytes; the log of a small model cannot need more."""


def write_nonsense(run: SyntheticRun, logdir: Path, seed: int) -> None:
    """Writes a run whose op table and records are damaged at random; equal seeds damage alike."""
    chance = random.Random(seed)
    sites = [_site(site, len(run.sites), chance) for site in run.sites]
    with np.errstate(invalid="ignore"), Recorder(logdir) as recorder:  # no integer column holds such numbers
        cut = chance.randrange(len(sites) + 1)
        recorder.ops(sites[:cut])
        for record in run.records[: chance.randint(1, 6)]:
            recorder.step(_record(record, len(sites), chance))
        if chance.random() < 0.8:
            recorder.ops(sites[cut:])


def write_tangle(run: SyntheticRun, logdir: Path, seed: int) -> None:
    """Writes ops of every kind that take each other's results in circles, with the rows of a real run shuffled."""
    chance = random.Random(seed)
    kinds = chance.choices(sorted(FAMILY_OF), k=chance.choice((3, 8, 80)))
    far = chance.choice((2, len(run.sites)))  # how far apart ops are that take each other's results
    sites = [_tangled(site, slot, len(run.sites), far, kinds, chance) for slot, site in enumerate(run.sites)]
    with Recorder(logdir) as recorder:
        recorder.ops(sites)
        for record in run.records:
            order = np.array(chance.choices(range(len(record.rows)), k=len(record.rows)))
            recorder.step(dataclasses.replace(record, rows=record.rows[order], histogram=record.histogram[order]))


def _tangled(site: OpSite, slot: int, count: int, far: int, kinds: list[str], chance: random.Random) -> OpSite:
    """The site as an op of another kind that takes what any op near it gives, later ones and itself included."""
    gradient_of, *inputs = ((slot + chance.randint(-far, far)) % count for _ in range(chance.randint(1, 4)))
    return dataclasses.replace(
        site,
        op_type=chance.choice(kinds),
        inputs=tuple(inputs),
        role=chance.choice(tuple(Role)),
        gradient_of=gradient_of if chance.random() < 0.7 else -1,
        looped=chance.random() < 0.3,
        trainable=chance.random() < 0.3,
        returned=chance.random() < 0.3,
    )


def read_everything(logdir: Path) -> int:
    """Reads a log the way report and tab do; returns how many pages it took."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none may reach the console
        runs = [run for run in read_runs(str(logdir)) if run.measured]
        pages = answers(runs).texts
    for text in pages.values():
        json.loads(text, parse_constant=_no_constant)
    return len(pages)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _site(site: OpSite, count: int, chance: random.Random) -> OpSite:
    """The site with, sometimes, one field replaced."""
    if chance.random() < 0.6:
        return site
    word = chance.choice(WORDS)
    slots = tuple(chance.choice((-1, 0, count - 1, count, -7, 2**31 - 1)) for _ in range(chance.randrange(4)))
    changes: list[dict[str, Any]] = [
        {chance.choice(("op_type", "name", "graph", "layer", "variable")): word},
        {"dtype": chance.choice((*FORMATS, "int32", "", "complex64"))},
        {"shape": chance.choice((None, (), (-1,), (0, 3), (2**31,) * 3))},
        {"inputs": slots},
        {"gradient_of": chance.choice((-1, 0, count, count - 1))},
        {"frames": tuple(Frame(word, chance.choice((0, 2**31)), word, word) for _ in range(chance.randrange(3)))},
        {"role": chance.choice(tuple(Role))},
        {"constant": tuple(chance.choice(VALUES) for _ in range(chance.choice((0, 1, len(COLUMNS)))))},
        {"looped": not site.looped, "trainable": not site.trainable, "returned": not site.returned},
        {"output": chance.choice((0, 1, 2**31 - 1))},
    ]
    return dataclasses.replace(site, **chance.choice(changes))


def _record(record: StepRecord, count: int, chance: random.Random) -> StepRecord:
    """The record with some cells of its table replaced, some rows dropped, and odd numbers in its header."""
    rows, histogram = record.rows.copy(), record.histogram.copy()
    for _ in range(chance.randrange(40)):
        column = chance.randrange(len(COLUMNS))
        choices = VALUES if COLUMNS[column].unit == "value" else EXTREMES
        rows[chance.randrange(len(rows)), column] = chance.choice(choices)
    histogram[chance.randrange(len(rows))] = chance.randrange(256)
    kept = np.array([chance.random() < 0.9 for _ in record.slots])
    return dataclasses.replace(
        record,
        slots=record.slots[kept],
        rows=rows[kept],
        histogram=histogram[kept],
        step=chance.choice((record.step, record.step, -5, INT64)),
        wall_time=chance.choice((record.wall_time, record.wall_time, 0.0, np.nan, np.inf, -1e300)),
        kind=chance.choice((record.kind, "", "?")),
        notes=(chance.choice(WORDS[:5]),) * chance.randrange(3),
        first_nonfinite=chance.choice((None, None, (record.step, chance.randrange(count)), (-1, count + 3))),
        records_before=chance.choice((record.records_before, 0, INT64)),
    )


ATTACKS = (write_nonsense, write_tangle, write_damaged, write_bomb)
"""Each seed takes the next one."""

MAX_SECONDS = 30.0
"""Processor time that one log may take; most take less than one second."""

MAX_BYTES = 4 << 30
"""Address space of the fuzzing process: what asks for more dies of it."""


def attack(run: SyntheticRun, logdir: Path, seed: int) -> None:
    """Writes the log of a seed, reads it as the report does, and asks the tab's every route about it.

    Raises:
      Exception: anything; each is a find.
    """
    ATTACKS[seed % len(ATTACKS)](run, logdir, seed // len(ATTACKS))
    read_everything(logdir)
    ask_everything(logdir)


def ask_everything(logdir: Path) -> None:
    """Asks the tab's every data route; whatever is in the log, an answer is JSON, of a bounded size, and no failure."""
    plugin = Loader().load(TBContext(data_provider=python_provider(logdir), logdir=str(logdir)))
    assert isinstance(plugin, NumericalHealthPlugin)
    client = Client(plugin)
    for route in (route for route in client.routes if not route.startswith("/static/")):
        for query in ("", "run=.", "run=.&op=Log_21%3A0", "run=.&query=a", "run=.&first=99", "run=.&against=."):
            response = client.raw(route, query)
            text = response.get_data()
            json.loads(text, parse_constant=_no_constant)
            if response.status_code >= 500 or len(text) > MAX_ANSWER:
                raise AssertionError(f"{route}?{query} answered {response.status_code} and {len(text):,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="the first seed; each log takes the next one")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    logging.disable(logging.ERROR)
    run, seed, end = make_run("nan_softmax_log", steps=6), options.seed, time.monotonic() + options.seconds
    slowest = 0.0
    while time.monotonic() < end:
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            try:
                attack(run, Path(folder), seed)
            except Exception:  # noqa: BLE001 - any exception is a find
                traceback.print_exc()
                sys.exit(f"seed {seed} broke it: python -m tests.fuzz --seed {seed}")
        took = time.process_time() - started
        if took > MAX_SECONDS:
            sys.exit(f"seed {seed} took {took:.0f} s: python -m tests.fuzz --seed {seed}")
        slowest, seed = max(slowest, took), seed + 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"{seed - options.seed} hostile logs read, and every route asked about each: no exception; "
        f"the slowest took {slowest:.1f} s, memory stayed below {peak:,.0f} MB"
    )


if __name__ == "__main__":
    main()
