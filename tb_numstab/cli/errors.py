"""The one way a command ends with a message."""

from __future__ import annotations

EXIT_CLEAN = 0
EXIT_FINDINGS = 1
EXIT_UNUSABLE = 2
"""Wrong usage, or nothing that could be read: argparse uses the same code."""


class CliError(Exception):
    """Ends the command with a message on stderr; says what to do where that is known."""

    def __init__(self, message: str, exit_code: int = EXIT_UNUSABLE) -> None:
        super().__init__(message)
        self.exit_code = exit_code
