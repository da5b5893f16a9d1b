"""Python stacks, reduced to the lines a user can change. Needs no TensorFlow."""

from __future__ import annotations

import functools
import linecache
import os
import sysconfig
from collections.abc import Iterable
from types import FrameType
from typing import Any

from tb_numstab.schema.ops import Frame

MAX_FRAMES = 8
"""User frames kept per op: enough to tell helper from caller, small in the log."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_SITE = ("site-packages" + os.sep, "dist-packages" + os.sep)
_FRAMEWORKS = tuple(
    f"{site}{name}{os.sep}" for site in _SITE for name in ("tensorflow", "keras", "tf_keras", "ml_dtypes", "numpy")
)


@functools.cache
def is_framework(file: str) -> bool:
    """True for files of TensorFlow, Keras, numpy, tb_numstab itself and generated code."""
    if file.startswith(("<stdin>", "<ipython")):
        return False
    return (
        file.startswith((_PACKAGE, "<"))
        or any(part in file for part in _FRAMEWORKS)
        or "__autograph_generated_file" in file
    )


@functools.cache
def is_user(file: str) -> bool:
    """True for the user's own files: no framework, no installed package, no standard library."""
    return not (is_framework(file) or _is_stdlib(file) or any(part in file for part in _SITE))


@functools.cache
def _is_stdlib(file: str) -> bool:
    return file.startswith(_STDLIB) and not any(part in file for part in _SITE)


def user_frames(stack: Iterable[Any]) -> tuple[Frame, ...]:
    """The user's frames of a TensorFlow stack summary, innermost first, at most MAX_FRAMES.

    Without any, the frames of installed packages other than the frameworks.
    """
    entries = [(f.filename, f) for f in stack]  # every attribute of TensorFlow's frames is made when asked for
    kept = [f for file, f in entries if is_user(file)] or [
        f for file, f in entries if not (is_framework(file) or _is_stdlib(file))
    ]
    return tuple(make_frame(f.filename, f.lineno, f.name) for f in reversed(kept[-MAX_FRAMES:]))


def innermost_user_frame(frame: FrameType | None) -> Frame | None:
    """The first of the user's own frames from ``frame`` outwards.

    None where AutoGraph's version of their code comes before it: its lines are not theirs.
    """
    while frame is not None and "__autograph_generated_file" not in frame.f_code.co_filename:
        if is_user(frame.f_code.co_filename):
            return make_frame(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return None


@functools.lru_cache(maxsize=65536)
def make_frame(file: str, line: int, function: str) -> Frame:
    """A Frame with its source text."""
    return Frame(file, line, function, linecache.getline(file, line).strip())
