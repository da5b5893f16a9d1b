"""Which TensorFlow op types need special care while ops are recorded."""

from __future__ import annotations

from typing import Any

from tb_numstab.schema.formats import FORMATS

ALIASES = frozenset(
    {
        "Identity", "IdentityN", "Snapshot", "StopGradient", "PreventGradient", "EnsureShape", "CheckNumerics",
        "CheckNumericsV2", "Reshape", "Squeeze", "ExpandDims", "Transpose", "DeepCopy", "OptimizationBarrier",
    }
)  # fmt: skip
"""Ops that hand on the same elements: their consumers link to the tensor that made them."""

CALLS_OF_GRAPHS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

CALLS = CALLS_OF_GRAPHS | {"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"}
"""Ops that run a function: its outputs explain theirs."""

PUTS = {
    "TensorListFromTensor": 0, "TensorListPushBack": 1, "TensorListPushBackBatch": 1, "TensorListResize": 0,
    "TensorListScatterIntoExistingList": 1, "TensorListScatterV2": 0, "TensorListSetItem": 2, "TensorListSplit": 0,
}  # fmt: skip
"""Ops that make a TensorList, and which input holds its elements; any other than the first goes into a list."""

LOOPS = frozenset({"While", "StatelessWhile"})

PACKING = frozenset({"OptionalFromValue"})
"""Wraps what a function returns: Keras's train function hands its logs out like this."""

UNPACKING = frozenset({"OptionalGetValue"})
"""Unwraps it, or what an iterator gave."""

READS = frozenset({"ReadVariableOp"})

ASSIGNS = frozenset({"AssignVariableOp", "AssignSubVariableOp", "AssignAddVariableOp"})

LEGACY_RANDOM = frozenset(
    {"RandomUniform", "RandomStandardNormal", "TruncatedNormal", "ParameterizedTruncatedNormal", "Multinomial",
     "RandomShuffle", "RandomGamma", "RandomPoisson", "RandomPoissonV2", "RandomUniformInt"}
)  # fmt: skip
"""Random ops with hidden state in their kernel: two traces of one function draw different numbers."""

FROM_ITERATOR = frozenset(
    {"IteratorGetNext", "IteratorGetNextSync", "IteratorGetNextAsOptional", "MultiDeviceIteratorGetNextFromShard",
     "OptionalGetValue"}
)  # fmt: skip
"""What hands out the user's data. An optional that the step packed itself is seen through before."""

HOST_CODE = frozenset({"PyFunc", "EagerPyFunc"})
"""The user's own Python inside the step: it must not run a second time."""

SAFE_RESOURCE_READS = frozenset(
    {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp",
     "LookupTableFindV2", "LookupTableSizeV2", "LookupTableExportV2", "StridedSlice", "Placeholder",
     "FlushSummaryWriter"}
)  # fmt: skip
"""What may touch a resource that is no variable without changing it."""


def is_update(op_type: str) -> bool:
    """True for ops that write a variable."""
    return op_type in ASSIGNS or op_type.startswith(("ResourceApply", "ResourceSparseApply", "ResourceScatter"))


def delta_of(op: Any) -> Any:
    """The tensor by which an update op changes its variable, or to which it sets it; None without one."""
    named = zip((a.name for a in op.op_def.input_arg), op.inputs, strict=False)
    return next((tensor for name, tensor in named if name in ("grad", "delta", "updates", "value")), None)


def counts_update(op: Any) -> bool:
    """Whether old value, delta and new value of an update op lie side by side."""
    return op.type != "AssignVariableOp" and all(a.name != "indices" for a in op.op_def.input_arg)


def is_measured(dtype_name: str) -> bool:
    """True for the floating-point formats a row can be made of."""
    return dtype_name in FORMATS
