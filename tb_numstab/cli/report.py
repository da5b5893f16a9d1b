"""tb-numstab report: the tab as one HTML file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tb_numstab.cli import reading
from tb_numstab.cli.errors import EXIT_CLEAN, CliError
from tb_numstab.cli.text import printable
from tb_numstab.report.html import BundleMissingError, build_report

NAME = "report"
HELP = "Writes the findings of a log folder as one HTML file that opens without a server."
EPILOG = "Source lines and op names of the training are in the file: mind whom you send it to.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    reading.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="numstab.html", help='default: numstab.html; "-" for stdout'
    )


def run(options: argparse.Namespace) -> int:
    """Writes the file and prints its name."""
    runs = reading.read(options)
    names = printable(", ".join(r.name for r in runs)) if len(runs) <= 3 else f"{len(runs)} runs"
    try:
        with reading.ProgressLine("Writing") as progress:
            text = build_report(runs, f"Numerical health: {names}", lambda _, *done: progress("", *done))
    except BundleMissingError as error:
        raise CliError(str(error)) from error
    if options.output == "-":
        sys.stdout.write(text)
        return EXIT_CLEAN
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{options.output} could not be written: {error.strerror or error}") from error
    print(options.output)
    return EXIT_CLEAN
