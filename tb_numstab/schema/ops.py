"""OpSite: where one measured tensor comes from. One slot is one output of one op."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Role(Enum):
    """What an op does in a training step."""

    INPUT = "input"  # an argument of the watched function, or what it takes from a dataset: the user's own data
    CONSTANT = "constant"  # a literal; its row is static
    VARIABLE = "variable"  # a variable as the step found it
    FORWARD = "forward"
    GRADIENT = "gradient"
    OPTIMIZER = "optimizer"  # works on gradients after backpropagation: clipping, moments, scaling
    UPDATE = "update"  # a variable as an assignment left it


@dataclass(frozen=True)
class Frame:
    """One line of a Python stack."""

    file: str
    line: int
    function: str
    text: str  # the source line, stripped; "" when the source was not to be had

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class OpSite:
    """The origin of one slot.

    Attributes:
      op_type: TensorFlow's op type, for example ``"MatMul"``.
      name: name of the op in its graph; for eager ops, type and line.
      output: index of the output this slot measures.
      graph: path of the enclosing loop bodies and branches, ``""`` at the top.
      looped: True inside a while loop's body, where the op may run many times in a step.
      dtype: TensorFlow's dtype name.
      shape: static shape; -1 for an unknown dimension, None for an unknown rank.
      inputs: slot of each input, in the op's own order; -1 where it is not measured.
      frames: the Python stack, the user's own line first.
      layer: Keras path, for example ``"sequential/dense_1"``; "" outside a layer.
      role: what the op does in the step.
      variable: name of the variable read or updated; of an INPUT what the program calls it, such as ``"x"`` or, of
        what a dataset gives, ``"element[1]"``; else "".
      trainable: whether that variable is trained.
      gradient_of: slot of the forward op that this gradient op differentiates, or -1.
      returned: True when the watched function returns this tensor.
      constant: the static row (columns.COLUMNS order) of a CONSTANT.
    """

    op_type: str
    name: str
    output: int = 0
    graph: str = ""
    looped: bool = False
    dtype: str = "float32"
    shape: tuple[int, ...] | None = None
    inputs: tuple[int, ...] = ()
    frames: tuple[Frame, ...] = ()
    layer: str = ""
    role: Role = Role.FORWARD
    variable: str = ""
    trainable: bool = False
    gradient_of: int = -1
    returned: bool = False
    constant: tuple[float, ...] = field(default=(), repr=False)

    @property
    def source(self) -> Frame | None:
        """The user's own line, or None when no frame is known."""
        return self.frames[0] if self.frames else None
