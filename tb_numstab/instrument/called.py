"""A graph that is called as it is, such as a SavedModel's: it is not traced again, so its nodes are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import op_def_registry

from tb_numstab.instrument.op_types import SAFE_RESOURCE_READS

_OF_VARIABLES = ("Assign", "ReadVariable", "Resource", "Rng", "Stateful", "NonDeterministicInts")
"""What the types of ops begin with that take the handle of a variable, and of nothing else."""


def nodes_in(call: Any) -> Iterator[Any]:
    """The nodes of the function that an op calls, and of those that this one calls in turn."""
    seen, names = set(), [call.get_attr("f").name]
    while names:
        name = names.pop()
        if name in seen or not context.context().has_function(name):
            continue
        seen.add(name)
        for node in context.context().get_function_def(name).node_def:
            yield node
            for attr in node.attr.values():
                names += [f.name for f in (attr.func, *attr.list.func) if f.name]


def changes_resource(op_type: str) -> bool:
    """Whether an op may change something that is no variable: a queue, a table, an iterator."""
    op_def = op_def_registry.get(op_type)
    if op_def is None or op_type in SAFE_RESOURCE_READS or op_type.startswith(_OF_VARIABLES):
        return False
    return bool(op_def.is_stateful) and any(arg.type == tf.resource.as_datatype_enum for arg in op_def.input_arg)
