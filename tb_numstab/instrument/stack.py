"""What the Python stack says about an op while it is being created: role, source lines, Keras layer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tensorflow.python.util import tf_stack

from tb_numstab.instrument.construction import constructed_at
from tb_numstab.instrument.frames import is_framework, is_user, user_frames
from tb_numstab.schema.ops import Frame

_BACKPROP = frozenset({"imperative_grad", "_GradientsHelper"})
_KERAS = ("/keras/", "/tf_keras/", "\\keras\\", "\\tf_keras\\")
_KERAS_CALLS = frozenset({"__call__", "apply", "apply_gradients"})


@dataclass(frozen=True)
class Context:
    """Where an op comes from.

    Attributes:
      frames: the user's lines, the one to change first.
      layer: Keras path of the innermost layer, "" outside.
      backprop: True inside the construction of a gradient.
      owners: the Keras layers and optimizers at work, innermost first.
    """

    frames: tuple[Frame, ...]
    layer: str
    backprop: bool
    owners: tuple[Any, ...]


def context(stack: Any = None) -> Context:
    """The context of the op being created now; ``stack`` is its traceback where it has one already.

    An op inside a built-in Keras layer or optimizer has no user frame of its own: the line that
    constructed the object goes first, since that is the line to change.
    """
    frames = user_frames(tf_stack.extract_stack() if stack is None else stack)
    owners: list[Any] = []
    backprop, maker, below_user = False, None, False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if name in _BACKPROP and is_framework(file):
            backprop = True
        elif is_user(file) or "__autograph_generated_file" in file:
            below_user = True
        elif name in _KERAS_CALLS and any(k in file for k in _KERAS):
            owner = frame.f_locals.get("self")
            owners.append(owner)
            if maker is None and not below_user:
                maker = constructed_at(owner)
        frame = frame.f_back
    if maker is not None and not backprop:
        frames = (maker, *(f for f in frames if f != maker))
    layers = (_layer_path(owner) for owner in owners)
    return Context(frames, next((path for path in layers if path), ""), backprop, tuple(owners))


def _layer_path(owner: Any) -> str:
    if hasattr(owner, "call") and hasattr(owner, "trainable_weights"):
        return str(getattr(owner, "path", None) or getattr(owner, "name", ""))
    return ""
