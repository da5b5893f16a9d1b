"""A step that goes through a tf.data dataset by itself: whether it may do so once more.

One more pass over a dataset that shuffles, draws random numbers or runs Python code changes what the next pass gives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import tensorflow as tf
from tensorflow.python.data.ops import random_op, shuffle_op
from tensorflow.python.distribute import input_lib

from tb_numstab.instrument.op_types import SAFE_RESOURCE_READS

REFUSAL = (
    "it goes through a dataset that gives other elements each time (it shuffles, or runs Python code or random ops); "
    "give it iter(dataset), or the batches, as an argument"
)

_FRAMES = 30
"""How far up the stack the dataset behind a captured tensor is looked for."""

_HARMLESS = SAFE_RESOURCE_READS | {"Assert"}


def changes(dataset: Any) -> bool:
    """Whether a pass over a dataset, plain or distributed, changes what later passes give."""
    if isinstance(dataset, input_lib.DistributedDataset):
        dataset = dataset._original_dataset
    return any(map(_has_state, _tree(dataset)))


def passed_over(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a function is given such a dataset."""
    flat = tf.nest.flatten((args, kwargs))
    return any(isinstance(a, (tf.data.Dataset, input_lib.DistributedDataset)) and changes(a) for a in flat)


def captured(variant: Any) -> Any:
    """The dataset that some caller holds and this eager tensor stands for; None without one."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FRAMES):
        if frame is None:
            return None
        for value in frame.f_locals.values():
            if isinstance(value, tf.data.Dataset):
                for dataset in _tree(value):
                    if getattr(dataset, "_variant_tensor_attr", None) is variant:  # not yet there while it is made
                        return dataset
        frame = frame.f_back
    return None


def _tree(dataset: Any) -> Iterator[Any]:
    """A dataset and all those it is made from."""
    yield dataset
    for part in dataset._inputs():
        yield from _tree(part)


def _has_state(dataset: Any) -> bool:
    if isinstance(dataset, shuffle_op._ShuffleDataset):
        return dataset._reshuffle_each_iteration is not False
    if isinstance(dataset, random_op._RandomDataset):
        return bool(dataset._rerandomize)
    ops = [op for function in dataset._functions() for op in function.function.graph.get_operations()]
    return any(op.op_def.is_stateful and op.type not in _HARMLESS for op in ops)
