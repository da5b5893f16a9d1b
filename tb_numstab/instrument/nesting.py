"""Tensors and ops in graphs inside graphs: loop bodies, branches, and their gradients."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tb_numstab.instrument.op_types import ALIASES


def outer(tensor: Any) -> Any:
    """The tensor of the surrounding graph that a placeholder stands for; None if it is not a captured one."""
    for external, internal in getattr(tensor.graph, "captures", ()):
        if internal is tensor:
            return external
    return None


def outermost(tensor: Any) -> Any:
    """The tensor that a placeholder captured through any number of graphs stands for; ``tensor`` itself if none."""
    while not isinstance(tensor, tf.__internal__.EagerTensor) and tensor.op.type == "Placeholder":
        captured = outer(tensor)
        if captured is None:
            break
        tensor = captured
    return tensor


def handed(tensor: Any) -> Any:
    """The tensor of the same graph whose elements ``tensor`` hands on."""
    while tensor.op.type in ALIASES:
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor


def place(graph: Any, top: Any) -> tuple[str, bool]:
    """Path from ``top`` to a graph nested in it, and whether that leads through the body of a loop."""
    names: list[str] = []
    while graph is not top and graph is not None:
        names.append(graph.name)
        graph = getattr(graph, "outer_graph", None)
    return "/".join(reversed(names)), any("while" in n for n in names)
