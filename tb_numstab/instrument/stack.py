"""What the Python stack says about an op while it is being created: role, source lines, Keras layer."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Any, NamedTuple

from tensorflow.python.util import tf_stack

from tb_numstab.instrument.construction import constructed_at
from tb_numstab.instrument.frames import is_framework, is_user, user_frames
from tb_numstab.schema.ops import Frame

_BACKPROP = frozenset({"imperative_grad", "_GradientsHelper"})
_KERAS = ("/keras/", "/tf_keras/", "\\keras\\", "\\tf_keras\\")
_KERAS_CALLS = frozenset({"__call__", "apply", "apply_gradients"})


class _Kind(Enum):
    """What a frame on the stack says about the op."""

    USER = "the user's own code"
    GENERATED = "AutoGraph's version of it"
    GRADIENT = "backpropagation"
    KERAS = "a Keras layer or optimizer at work"
    OTHER = "nothing"


@functools.cache
def _kind(file: str, function: str) -> _Kind:
    if "__autograph_generated_file" in file:
        return _Kind.GENERATED
    if is_user(file):
        return _Kind.USER
    if function in _BACKPROP and is_framework(file):
        return _Kind.GRADIENT
    if function in _KERAS_CALLS and any(k in file for k in _KERAS):
        return _Kind.KERAS
    return _Kind.OTHER


def is_backpropagation(traceback: Any) -> bool:
    """Whether an op with this traceback belongs to a gradient."""
    return any(_kind(f.filename, f.name) is _Kind.GRADIENT for f in traceback)


class Spot(NamedTuple):
    """Just enough of the stack to tell one eager op from another.

    Attributes:
      file, line: the innermost of the user's lines; "" and 0 without any.
      owner: id of the innermost Keras object below it; 0 without any.
      backprop: True inside the construction of a gradient.
    """

    file: str
    line: int
    owner: int
    backprop: bool


def spot() -> Spot:
    """The spot of the op that has just run; some microseconds, for every op of an eager step."""
    frame: FrameType | None = sys._getframe(1)
    owner, backprop = 0, False
    while frame is not None:
        code = frame.f_code
        kind = _kind(code.co_filename, code.co_name)
        if kind is _Kind.USER:
            return Spot(code.co_filename, frame.f_lineno, owner, backprop)
        if kind is _Kind.GRADIENT:
            backprop = True
        elif kind is _Kind.KERAS and not owner:
            owner = id(frame.f_locals.get("self"))
        frame = frame.f_back
    return Spot("", 0, owner, backprop)


@dataclass(frozen=True)
class Context:
    """Where an op comes from.

    Attributes:
      layer: Keras path of the innermost layer, "" outside.
      backprop: True inside the construction of a gradient.
      owners: the Keras layers and optimizers at work, innermost first.
      maker: the line that constructed the innermost of them, where no line of the user's lies below it.
    """

    layer: str
    backprop: bool
    owners: tuple[Any, ...]
    maker: Frame | None

    def frames(self, traceback: Any = None) -> tuple[Frame, ...]:
        """The user's lines, the one to change first; ``traceback`` is that of the op where it has one.

        An op inside a built-in Keras layer or optimizer has no user frame of its own: the line that
        constructed the object goes first, since that is the line to change.
        """
        frames = user_frames(tf_stack.extract_stack() if traceback is None else traceback)
        if self.maker is None or self.backprop:
            return frames
        return (self.maker, *(f for f in frames if f != self.maker))


def context() -> Context:
    """The context of the op being created now."""
    owners: list[Any] = []
    backprop, maker, below_user = False, None, False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        kind = _kind(frame.f_code.co_filename, frame.f_code.co_name)
        if kind is _Kind.GRADIENT:
            backprop = True
        elif kind in (_Kind.USER, _Kind.GENERATED):
            below_user = True
        elif kind is _Kind.KERAS:
            owner = frame.f_locals.get("self")
            owners.append(owner)
            if maker is None and not below_user:
                maker = constructed_at(owner)
        frame = frame.f_back
    layers = (_layer_path(owner) for owner in owners)
    return Context(next((path for path in layers if path), ""), backprop, tuple(owners), maker)


def _layer_path(owner: Any) -> str:
    if hasattr(owner, "call") and hasattr(owner, "trainable_weights"):
        return str(getattr(owner, "path", None) or getattr(owner, "name", ""))
    return ""
