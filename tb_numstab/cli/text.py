"""Text for a terminal."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path


def printable(text: str) -> str:
    """Text on one line without control characters: a name in a log must not move the cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def wrapped(label: str, text: str, width: int, indent: str) -> str:
    """A labelled paragraph; continuation lines align with its text."""
    return textwrap.fill(
        printable(text),
        width=max(width, 40),
        initial_indent=f"{indent}{label}",
        subsequent_indent=indent + " " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )


def from_here(file: str) -> str:
    """A path relative to the working directory where it lies below: what terminals and GitHub can open."""
    path, here = Path(os.path.normpath(file)), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else file
