"""Small training steps in numpy, measured and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tb_numstab.analysis.engine import Engine
from tb_numstab.schema.ops import Role
from tests.support.numpy_trace import Array, Node, Trace

Step = Callable[[Trace, int], None]
"""Computes one step, given the trace and the step's number."""

LINES = {line: f"line {line}" for line in range(1, 21)}


def judge(step: Step, steps: int = 1) -> Engine:
    """An engine that has judged ``steps`` steps of a program."""
    engine, trace = Engine(), Trace(LINES)
    for i in range(steps):
        with np.errstate(all="ignore"):
            step(trace, i)
        engine.extend(trace.sites[engine.graph.size :])
        engine.feed(trace.record())
    return engine


def data(trace: Trace, values: ArrayLike, dtype: Any = np.float32) -> Node:
    """An argument of the step."""
    return trace.leaf("x", np.asarray(values, dtype), Role.INPUT, line=1)


def literal(trace: Trace, values: ArrayLike, dtype: Any = np.float32) -> Node:
    """A literal."""
    return trace.leaf("c", np.asarray(values, dtype), Role.CONSTANT, line=1)


def variable(trace: Trace, values: ArrayLike, dtype: Any = np.float32, name: str = "w", trainable: bool = True) -> Node:
    """A variable as the step found it."""
    return trace.leaf(name, np.asarray(values, dtype), Role.VARIABLE, line=1, variable=name, trainable=trainable)


def op(trace: Trace, op_type: str, value: Array, *inputs: Node, line: int = 5, **fields: Any) -> Node:
    """One op of the step."""
    return trace.op(op_type, np.asarray(value), *inputs, line=line, **fields)


def returned_mean(trace: Trace, node: Node) -> Node:
    """The loss: the mean of a tensor, returned."""
    return op(trace, "Mean", np.asarray(node.array.mean(), node.array.dtype), node, line=9, returned=True)


def update(trace: Trace, old: Node, delta: Node, name: str = "w", trainable: bool = True) -> Node:
    """``old -= delta``."""
    new = (old.array - delta.array).astype(old.array.dtype)
    return op(
        trace, "AssignSubVariableOp", new, old, delta, line=10, role=Role.UPDATE, variable=name, trainable=trainable
    )


def unary(op_type: str, function: Callable[[Any], Any], values: ArrayLike, dtype: Any = np.float32) -> Step:
    """A step with loss = mean(op(x))."""

    def step(trace: Trace, i: int) -> None:
        x = data(trace, values, dtype)
        returned_mean(trace, op(trace, op_type, np.asarray(function(x.array), dtype), x))

    return step


def binary(
    op_type: str, function: Callable[[Any, Any], Any], a: ArrayLike, b: ArrayLike, dtype: Any = np.float32
) -> Step:
    """A step with loss = mean(op(x, y))."""

    def step(trace: Trace, i: int) -> None:
        x, y = data(trace, a, dtype), data(trace, b, dtype)
        returned_mean(trace, op(trace, op_type, np.asarray(function(x.array, y.array), dtype), x, y))

    return step
