from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("file", "line", "function", "text")
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    file: int
    line: int
    function: int
    text: int
    def __init__(self, file: _Optional[int] = ..., line: _Optional[int] = ..., function: _Optional[int] = ..., text: _Optional[int] = ...) -> None: ...

class Shape(_message.Message):
    __slots__ = ("dim",)
    DIM_FIELD_NUMBER: _ClassVar[int]
    dim: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dim: _Optional[_Iterable[int]] = ...) -> None: ...

class OpSite(_message.Message):
    __slots__ = ("op_type", "name", "output", "graph", "looped", "dtype", "shape", "inputs", "frames", "layer", "role", "variable", "trainable", "gradient_of", "returned", "constant")
    OP_TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    LOOPED_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_OF_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    op_type: int
    name: int
    output: int
    graph: int
    looped: bool
    dtype: int
    shape: Shape
    inputs: _containers.RepeatedScalarFieldContainer[int]
    frames: _containers.RepeatedScalarFieldContainer[int]
    layer: int
    role: int
    variable: int
    trainable: bool
    gradient_of: int
    returned: bool
    constant: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, op_type: _Optional[int] = ..., name: _Optional[int] = ..., output: _Optional[int] = ..., graph: _Optional[int] = ..., looped: bool = ..., dtype: _Optional[int] = ..., shape: _Optional[_Union[Shape, _Mapping]] = ..., inputs: _Optional[_Iterable[int]] = ..., frames: _Optional[_Iterable[int]] = ..., layer: _Optional[int] = ..., role: _Optional[int] = ..., variable: _Optional[int] = ..., trainable: bool = ..., gradient_of: _Optional[int] = ..., returned: bool = ..., constant: _Optional[_Iterable[float]] = ...) -> None: ...

class OpTableChunk(_message.Message):
    __slots__ = ("schema", "session", "worker", "first_slot", "strings", "frames", "sites")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FIRST_SLOT_FIELD_NUMBER: _ClassVar[int]
    STRINGS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    schema: int
    session: str
    worker: str
    first_slot: int
    strings: _containers.RepeatedScalarFieldContainer[str]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    sites: _containers.RepeatedCompositeFieldContainer[OpSite]
    def __init__(self, schema: _Optional[int] = ..., session: _Optional[str] = ..., worker: _Optional[str] = ..., first_slot: _Optional[int] = ..., strings: _Optional[_Iterable[str]] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ..., sites: _Optional[_Iterable[_Union[OpSite, _Mapping]]] = ...) -> None: ...

class FirstNonFinite(_message.Message):
    __slots__ = ("step", "slot")
    STEP_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    step: int
    slot: int
    def __init__(self, step: _Optional[int] = ..., slot: _Optional[int] = ...) -> None: ...

class StepRecord(_message.Message):
    __slots__ = ("schema", "session", "worker", "step", "wall_time", "kind", "notes", "first_nonfinite", "records_before", "slots", "packed_size", "packed")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_NONFINITE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PACKED_SIZE_FIELD_NUMBER: _ClassVar[int]
    PACKED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    session: str
    worker: str
    step: int
    wall_time: float
    kind: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    first_nonfinite: FirstNonFinite
    records_before: int
    slots: int
    packed_size: int
    packed: bytes
    def __init__(self, schema: _Optional[int] = ..., session: _Optional[str] = ..., worker: _Optional[str] = ..., step: _Optional[int] = ..., wall_time: _Optional[float] = ..., kind: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ..., first_nonfinite: _Optional[_Union[FirstNonFinite, _Mapping]] = ..., records_before: _Optional[int] = ..., slots: _Optional[int] = ..., packed_size: _Optional[int] = ..., packed: _Optional[bytes] = ...) -> None: ...
