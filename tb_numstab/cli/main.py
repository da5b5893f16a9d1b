"""tb-numstab: the command line. Results go to stdout, messages to stderr."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import metadata

from tb_numstab.cli import check, demo, doctor, report
from tb_numstab.cli.errors import CliError

_COMMANDS = (check, report, demo, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal or log that cannot show a character must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow is quiet if a command loads it
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except CliError as error:
        print(f"tb-numstab: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe has had enough. Python flushes stdout once more as it ends: to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tb-numstab", description="Finds where a training becomes numerically unstable, from its log folder."
    )
    parser.add_argument("--version", action="version", version=f"tb-numstab {metadata.version('tb-numstab')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _COMMANDS:
        command = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=module.HELP,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(command=module.run)
    return parser
