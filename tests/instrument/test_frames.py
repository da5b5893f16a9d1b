"""Which lines of a stack are shown to the user."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from tb_numstab.instrument.frames import user_frames


def stack(*files: str) -> list[Any]:
    """A stack, the outermost line first."""
    return [SimpleNamespace(filename=file, lineno=1, name="f") for file in files]


STDLIB, FRAMEWORK = threading.__file__, tf.__file__
PACKAGE = "/env/site-packages/a_layer_library/layer.py"


def test_the_users_own_lines_come_first() -> None:
    frames = user_frames(stack("train.py", PACKAGE, "model.py", FRAMEWORK))
    assert [f.file for f in frames] == ["model.py", "train.py"]


def test_an_installed_package_stands_in_where_there_is_no_line_of_the_users() -> None:
    assert [f.file for f in user_frames(stack(STDLIB, FRAMEWORK, PACKAGE, FRAMEWORK))] == [PACKAGE]


def test_code_without_a_file_is_not_blamed_on_the_standard_library() -> None:
    assert user_frames(stack(STDLIB, "<string>", FRAMEWORK)) == ()
