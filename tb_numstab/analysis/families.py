"""Op types by the arithmetic they do: the vocabulary the rules are written in."""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, ...]] = {
    "add": ("Add", "AddV2", "BiasAdd", "BiasAddV1", "AddN"),
    "sub": ("Sub",),
    "mul": ("Mul", "MulNoNan"),
    "div": ("RealDiv", "Div", "Xdivy"),
    "div-no-nan": ("DivNoNan",),
    "reciprocal": ("Reciprocal", "Inv"),
    "neg": ("Neg", "Abs", "Sign"),
    "matmul": ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "SparseTensorDenseMatMul"),
    "conv": (
        "Conv2D",
        "Conv3D",
        "DepthwiseConv2dNative",
        "Conv2DBackpropInput",
        "Conv2DBackpropFilter",
        "Conv3DBackpropInputV2",
        "Conv3DBackpropFilterV2",
        "DepthwiseConv2dNativeBackpropInput",
        "DepthwiseConv2dNativeBackpropFilter",
    ),
    "sum": ("Sum", "SegmentSum", "UnsortedSegmentSum", "BiasAddGrad"),
    "mean": ("Mean", "AvgPool", "SegmentMean"),
    "prod": ("Prod", "Cumprod"),
    "determinant": ("MatrixDeterminant",),
    "spectrum": ("SelfAdjointEigV2", "Svd"),
    "cumsum": ("Cumsum",),
    "extremum": ("Max", "Min"),
    "exp": ("Exp", "Expm1"),
    "hyperbolic": ("Sinh", "Cosh"),
    "log": ("Log",),
    "log1p": ("Log1p",),
    "xlogy": ("Xlogy", "Xlog1py"),
    "sqrt": ("Sqrt",),
    "rsqrt": ("Rsqrt",),
    "sqrt-grad": ("SqrtGrad", "RsqrtGrad"),
    "saturating-grad": ("SigmoidGrad", "TanhGrad"),
    "reciprocal-grad": ("ReciprocalGrad", "InvGrad"),
    "pow": ("Pow",),
    "square": ("Square", "SquaredDifference"),
    "sum-of-squares": ("L2Loss",),
    "softmax": ("Softmax",),
    "log-softmax": ("LogSoftmax",),
    "cross-entropy": ("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"),
    "sigmoid": ("Sigmoid",),
    "tanh": ("Tanh",),
    "softplus": ("Softplus",),
    "trig": ("Sin", "Cos", "Tan"),
    "polygamma": ("Digamma", "Lgamma"),
    "bessel": ("BesselI0", "BesselI1"),
    "inverse-trig": ("Acos", "Asin", "Atanh", "Acosh", "Atan2"),
    "cast": ("Cast",),
    "select": ("Select", "SelectV2"),
    "clip": ("Maximum", "Minimum", "ClipByValue", "Relu", "Relu6", "LeakyRelu"),
    "norm": ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
    "update": (
        "AssignVariableOp",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "ResourceScatterAdd",
        "ResourceScatterSub",
        "ResourceScatterUpdate",
        "ResourceApplyGradientDescent",
        "ResourceApplyMomentum",
        "ResourceApplyKerasMomentum",
        "ResourceApplyAdam",
        "ResourceApplyAdagrad",
        "ResourceApplyRMSProp",
        "ResourceApplyFtrl",
    ),
    # Values pass through these unchanged: what is not finite behind them came in from elsewhere.
    "move": (
        "BroadcastTo",
        "Concat",
        "ConcatV2",
        "DynamicStitch",
        "Gather",
        "GatherNd",
        "GatherV2",
        "IdentityN",
        "MaxPool",
        "MirrorPad",
        "Pack",
        "Pad",
        "PadV2",
        "Placeholder",
        "ResourceGather",
        "ReverseV2",
        "ScatterNd",
        "Slice",
        "Split",
        "SplitV",
        "StridedSlice",
        "StridedSliceGrad",
        "TensorArrayReadV3",
        "TensorListConcatV2",
        "TensorListGather",
        "TensorListGetItem",
        "TensorListPopBack",
        "TensorListStack",
        "TensorScatterUpdate",
        "Tile",
        "TopKV2",
        "Unpack",
    ),
    # The result holds what other workers or replicas sent.
    "collective": (
        "CollectiveAllToAllV2",
        "CollectiveAllToAllV3",
        "CollectiveBcastRecv",
        "CollectiveBcastRecvV2",
        "CollectiveGather",
        "CollectiveGatherV2",
        "CollectiveReduce",
        "CollectiveReduceScatterV2",
        "CollectiveReduceV2",
        "CollectiveReduceV3",
        "CrossReplicaSum",
        "NcclAllReduce",
        "NcclBroadcast",
        "NcclReduce",
    ),
    # The work is done by ops of another graph, which have slots of their own.
    "control": ("Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessIf", "StatelessWhile", "While"),
}
"""Family -> op types. An op type outside every family is judged by the generic rules."""

FAMILY_OF: dict[str, str] = {op_type: family for family, types in FAMILIES.items() for op_type in types}

_OPERANDS: dict[str, tuple[int, ...]] = {
    "Split": (1,),
    "Select": (1, 2),
    "SelectV2": (1, 2),
    "Conv2DBackpropInput": (1, 2),
    "Conv3DBackpropInputV2": (1, 2),
    "DepthwiseConv2dNativeBackpropInput": (1, 2),
    "Conv2DBackpropFilter": (0, 2),
    "Conv3DBackpropFilterV2": (0, 2),
    "DepthwiseConv2dNativeBackpropFilter": (0, 2),
    "SparseTensorDenseMatMul": (1, 3),
}

_BINARY = frozenset(
    (
        "add",
        "sub",
        "mul",
        "div",
        "div-no-nan",
        "matmul",
        "conv",
        "xlogy",
        "pow",
        "sqrt-grad",
        "reciprocal-grad",
        "saturating-grad",
        "cross-entropy",
        "update",
    )
)
_TWO_OPERANDS = frozenset(("SquaredDifference", "Atan2", "Maximum", "Minimum"))


def family_of(op_type: str) -> str:
    """The family of an op type; "" for none."""
    return FAMILY_OF.get(op_type, "")


def operand_positions(op_type: str) -> tuple[int, ...]:
    """Positions of the float operands the rules call x and y among an op's inputs.

    The other inputs are conditions, indices, axes and sizes. Of an op in no family both are guesses:
    its first two inputs.
    """
    if op_type in _OPERANDS:
        return _OPERANDS[op_type]
    family = family_of(op_type)
    return (0, 1) if family in _BINARY or op_type in _TWO_OPERANDS or not family else (0,)
