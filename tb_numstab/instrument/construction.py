"""Where each Keras object was constructed: the line to show for an op inside a built-in layer.

An op of ``keras.layers.Dense`` has no user frame of its own below ``fit``; the line a reader can change
is the one that made the layer. Keras does not keep it, so a constructor hook does. It is set when
tb_numstab is imported, before or after Keras itself, and needs neither Keras nor TensorFlow until then.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import weakref
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from tb_numstab.instrument.frames import innermost_user_frame
from tb_numstab.schema.ops import Frame

_BASES = {
    "keras.src.saving.keras_saveable": "KerasSaveable",  # Keras 3: layers, losses, optimizers, metrics
    "tf_keras.src.engine.base_layer": "Layer",  # Keras 2
    "tf_keras.src.optimizers.optimizer": "_BaseOptimizer",
}
_lines: weakref.WeakKeyDictionary[Any, Frame] = weakref.WeakKeyDictionary()


def constructed_at(instance: object) -> Frame | None:
    """The user's line that constructed a Keras object, None when it is not known."""
    try:
        return _lines.get(instance)
    except TypeError:  # unhashable or without weak references
        return None


def record_construction_lines() -> None:
    """Starts recording, for Keras modules already imported and for those still to come."""
    for name in _BASES:
        if name in sys.modules:
            _hook(sys.modules[name])
    if not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _hook(module: ModuleType) -> None:
    base = getattr(module, _BASES[module.__name__], None)
    if base is None or hasattr(base, "_numstab_new"):
        return
    original = base.__new__

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        instance = original(cls) if original is object.__new__ else original(cls, *args, **kwargs)
        frame = innermost_user_frame(sys._getframe(1))
        if frame is not None:
            try:
                _lines[instance] = frame
            except TypeError:  # a subclass that cannot be hashed yet, or at all
                pass
        return instance

    base._numstab_new = True
    base.__new__ = new


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Lets Python import a Keras module as ever, then hooks its base class."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _BASES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _hook(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
