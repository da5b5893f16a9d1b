"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def trim() -> None:
    """Asks glibc to give back what has been freed.

    It keeps freed blocks for each thread that made them. After a large run has been judged by a thread of its own,
    these are some 80 MB that nobody else can use. Other systems' libraries have no such function, and need none.
    """
    if sys.platform == "linux" and (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
