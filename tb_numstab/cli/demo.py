"""tb-numstab demo: small trainings, most of which go wrong, and what tb-numstab found in each."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from importlib import resources, util
from pathlib import Path
from urllib.parse import quote

from tb_numstab.analysis.engine import analyse
from tb_numstab.cli.errors import EXIT_CLEAN, CliError
from tb_numstab.cli.text import from_here, printable
from tb_numstab.store.event_files import read_runs
from tb_numstab.store.run_data import Session
from tb_numstab.views.op_index import OpIndex

NAME = "demo"
HELP = "Trains small models on handwritten digits, says what went wrong, and shows it in TensorBoard."
EPILOG = """\
The programs are copied to FOLDER, where you can change them and run the command again: what is there already is
left as it is. Logs go to FOLDER/logs.
"""

DEMOS = ("healthy", "nan_softmax", "float16", "lost_updates", "seed_story")
PACKAGE = "tb_numstab.demo"
"""Where an installation keeps the programs."""

COPIES = "numstab_demo"
"""The default folder, and the name under which the programs there are imported."""

LOGS = "logs"

NEEDS = {"tensorflow": "tensorflow", "sklearn": "scikit-learn"}
"""What pip has to install, by the name of the import; TensorFlow brings Keras."""

DEFAULT_PORT = 6006


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(DEMOS)}; all of them if none is given")
    parser.add_argument(
        "--folder", type=Path, default=Path(COPIES), help=f"where the programs and their logs go (default: {COPIES})"
    )
    parser.add_argument("--port", type=int, help=f"TensorBoard's port (default: {DEFAULT_PORT}, or the next free one)")
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="start TensorBoard and keep it open; otherwise print the findings and exit",
    )


def run(options: argparse.Namespace) -> int:
    """Trains, prints the findings, and serves the tab until Ctrl-C."""
    names = options.names or DEMOS
    if unknown := sorted(set(names) - set(DEMOS)):
        raise CliError(f"no demo is called {', '.join(map(printable, unknown))}; there are {', '.join(DEMOS)}")
    if missing := [package for name, package in NEEDS.items() if util.find_spec(name) is None]:
        raise CliError(f"the demos need {' and '.join(missing)}: pip install {' '.join(missing)}")
    logdir = options.folder / LOGS
    _provide_programs(options.folder.resolve())
    _train(options.folder, names)
    address = _serve(logdir, options.port) if options.open else f"http://localhost:{options.port or DEFAULT_PORT}/"
    for found in read_runs(str(logdir)):
        if found.name.partition("/")[0] in names:
            print(_report(found.name, found.sessions[-1], address), flush=True)
    if options.open:
        print(f"\nTensorBoard is at {address} (Ctrl-C ends it)", flush=True)
        _wait()
    else:
        tensorboard = os.path.relpath(Path(sys.executable).with_name("tensorboard"))
        print(f"\nThe links open once this runs: {tensorboard} --logdir {logdir}")
    return EXIT_CLEAN


def _train(folder: Path, names: Sequence[str]) -> None:
    """Runs each program from a clean log folder."""
    # Before the programs import TensorFlow: the same arithmetic on every CPU.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] training {folder / name}.py", flush=True)
        shutil.rmtree(log_dir := folder / LOGS / name, ignore_errors=True)
        importlib.import_module(f"{COPIES}.{name}").main(str(log_dir))


def _provide_programs(folder: Path) -> None:
    """Copies the programs to where they are missing, and makes them importable from there."""
    try:
        (folder / LOGS).mkdir(parents=True, exist_ok=True)
        for source in resources.files(PACKAGE).iterdir():
            if source.name.endswith(".py") and not (target := folder / source.name).exists():
                target.write_bytes(source.read_bytes())
    except OSError as error:
        raise CliError(f"the programs could not be copied to {folder}: {error.strerror or error}") from error
    spec = util.spec_from_file_location(COPIES, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    sys.modules[COPIES] = util.module_from_spec(spec)


def _report(run: str, session: Session, address: str) -> str:
    """The verdict on one run: what, where in the source, what to do, and the link that opens on it."""
    verdict = analyse(session).verdict
    lines = [f"\n{run}: {verdict.status.value.upper()}. {verdict.text}"]
    finding = verdict.finding
    if finding is not None:
        if (source := finding.site.source) is not None:
            lines.append(f"  {finding.site.op_type} at {from_here(source.file)}:{source.line}:  {source.text}")
        lines.append(f"  Fix: {finding.fix.text}")
        op = OpIndex(session.table).keys[finding.slot]
        lines.append(f"  {_link(address, run=run, step=finding.step, op=op)}")
    return "\n".join(lines)


def _link(address: str, **state: str | int) -> str:
    """The address of a state of the tab."""
    pairs = (f"p.numstab.{key}={quote(str(value), safe='')}" for key, value in state.items())
    return f"{address}#{'&'.join(('numstab', *pairs))}"


def _serve(logdir: Path, port: int | None) -> str:
    """Starts TensorBoard in this process and returns its address."""
    from tensorboard import program  # takes a second to import, which other commands can do without

    server = program.TensorBoard()
    server.configure(argv=[None, "--logdir", str(logdir), *([] if port is None else ["--port", str(port)])])
    try:
        return str(server.launch())
    except program.TensorBoardServerException as error:
        raise CliError(f"TensorBoard does not start: {error.msg}; the logs are in {logdir}") from error


def _wait() -> None:
    """Returns at Ctrl-C."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
