"""Trains the demos, says what tb-numstab found in each, and shows it in TensorBoard.

Usage: ``python -m demo [NAME ...] [--logdir DIR] [--port PORT] [--no-open]``
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import threading
from pathlib import Path
from urllib.parse import quote

from tensorboard import program

from tb_numstab.analysis.engine import analyse
from tb_numstab.store.event_files import read_runs
from tb_numstab.store.run_data import Session
from tb_numstab.views.op_index import OpIndex

DEMOS = ("healthy", "nan_softmax", "float16", "lost_updates", "seed_story")
DEFAULT_PORT = 6006


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Trains the demos and shows what went wrong.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"demos to run: {', '.join(DEMOS)} (default: all)")
    parser.add_argument("--logdir", type=Path, default=Path("demo/logs"))
    parser.add_argument("--port", type=int, help=f"TensorBoard's port (default: {DEFAULT_PORT}, or the next free one)")
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="start TensorBoard and keep it open; otherwise print the findings and exit",
    )
    args = parser.parse_args()
    names = args.names or DEMOS
    if unknown := set(names) - set(DEMOS):
        parser.error(f"no demo is called {', '.join(sorted(unknown))}; there are {', '.join(DEMOS)}")
    for name in names:
        train(name, args.logdir / name)
    address = f"http://localhost:{args.port or DEFAULT_PORT}/"
    if args.open:
        address = serve(args.logdir, args.port)
    for run in read_runs(str(args.logdir)):
        if run.name.partition("/")[0] in names:
            print(report(run.name, run.sessions[-1], address), flush=True)
    if args.open:
        print(f"\nTensorBoard is at {address} (Ctrl-C ends it)", flush=True)
        wait()
    else:
        tensorboard = os.path.relpath(Path(sys.executable).with_name("tensorboard"))
        print(f"\nThe links open once this runs: {tensorboard} --logdir {args.logdir}")


def train(name: str, log_dir: Path) -> None:
    """Runs one demo from a clean log folder."""
    # Before TensorFlow's import, which the demo brings: no chatter, and the same arithmetic on every CPU.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    shutil.rmtree(log_dir, ignore_errors=True)
    importlib.import_module(f"demo.{name}").main(str(log_dir))


def report(run: str, session: Session, address: str) -> str:
    """The verdict on one run: what, where in the source, what to do, and the link that opens on it."""
    verdict = analyse(session).verdict
    lines = [f"\n{run}: {verdict.status.value.upper()}. {verdict.text}"]
    finding = verdict.finding
    if finding is not None:
        if (source := finding.site.source) is not None:
            file = os.path.relpath(source.file)
            lines.append(f"  {finding.site.op_type} at {file}:{source.line}:  {source.text}")
        lines.append(f"  Fix: {finding.fix.text}")
        op = OpIndex(session.table).keys[finding.slot]
        lines.append(f"  {link(address, run=run, step=verdict.step, op=op)}")
    return "\n".join(lines)


def link(address: str, **state: str | int) -> str:
    """The address of a state of the tab."""
    pairs = (f"p.numstab.{key}={quote(str(value), safe='')}" for key, value in state.items())
    return f"{address}#{'&'.join(('numstab', *pairs))}"


def serve(logdir: Path, port: int | None) -> str:
    """Starts TensorBoard in this process and returns its address."""
    server = program.TensorBoard()
    server.configure(argv=[None, "--logdir", str(logdir), *([] if port is None else ["--port", str(port)])])
    return str(server.launch())


def wait() -> None:
    """Returns at Ctrl-C."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
