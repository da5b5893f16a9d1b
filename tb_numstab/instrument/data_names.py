"""What a program calls the data of a step: its arguments, and the parts of what a dataset gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.util import nest


def named_arguments(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the arguments of a tf.function consist of, flat, each with its name: ``x``, ``batch['image']``."""
    parameters = function._function_type.parameters.values()
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    unknown = (f"argument {position}" for position in range(len(known), len(args)))
    for root, argument in (*zip((*known, *unknown), args, strict=False), *sorted(kwargs.items())):
        for path, value in nest.flatten_with_tuple_paths(argument):
            for part in tf.nest.flatten(value, expand_composites=True):  # a ragged tensor has several
                yield _name(root, path), part


def element_names(spec: Any) -> list[str]:
    """Names for the parts of an element, which is what a dataset gives, flat: ``element[0]``, ``element['image']``."""
    return [_name("element", path) for path, _ in nest.flatten_with_tuple_paths(spec)]


def _name(root: str, path: tuple[Any, ...]) -> str:
    return root + "".join(f"[{key!r}]" for key in path)
