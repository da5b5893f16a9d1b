"""Measures numpy arrays the way the hook measures tensors, and keeps the graph they form.

It is written element by element from the definitions in schema/columns.py, in float64, and shares no
code with the hook: what it measures can serve as a reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_numstab.schema.columns import INDEX, Row, empty_rows
from tb_numstab.schema.formats import FORMATS, HISTOGRAM_BINS
from tb_numstab.schema.ops import Frame, OpSite, Role
from tb_numstab.schema.record import StepRecord
from tests.support.synthetic import SESSION, START

Array = NDArray[np.floating[Any]]

_SUMS = ("Add", "AddV2", "Sub", "BiasAdd", "AssignSubVariableOp", "AssignAddVariableOp")
_ROUNDS_TO_RANGE = (*_SUMS, "Mul", "RealDiv", "Square", "Exp", "Cast", "Softmax")


def exponents(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """floor(log2(|x|)) of finite non-zero values."""
    exponent: NDArray[np.int64] = np.frexp(values)[1].astype(np.int64) - 1
    return exponent


def measure(values: Array, op_type: str = "", operands: tuple[Array, ...] = ()) -> Row:
    """One row, float64 [WIDTH], of an op's result; columns its op type does not have are absent."""
    row: Row = empty_rows(1)[0]
    wide = values.astype(np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    nonzero = finite[finite != 0]
    bad = len(wide) - len(finite)
    row[INDEX["size"]] = wide.size
    row[INDEX["nan"]] = np.isnan(wide).sum()
    row[INDEX["pos_inf"]] = (wide == np.inf).sum()
    row[INDEX["neg_inf"]] = (wide == -np.inf).sum()
    row[INDEX["zero"]] = (wide == 0).sum()
    row[INDEX["negative"]] = (wide < 0).sum()
    row[INDEX["subnormal"]] = (exponents(nonzero) < FORMATS[values.dtype.name].min_exp).sum()
    row[INDEX["sum_sq"]] = (finite**2).sum()
    row[INDEX["calls"]] = 1
    if finite.size:
        row[INDEX["min"]], row[INDEX["max"]] = finite.min(), finite.max()
    if nonzero.size:
        row[INDEX["min_exp"]], row[INDEX["max_exp"]] = exponents(nonzero).min(), exponents(nonzero).max()
    if bad:
        row[INDEX["first_bad_call"]] = 0
    if op_type in _ROUNDS_TO_RANGE:
        _measure_rounding(row, values, op_type, operands)
    return row


def _measure_rounding(row: Row, values: Array, op_type: str, operands: tuple[Array, ...]) -> None:
    """Fills what only operands and result together show."""
    result = values.astype(np.float64)
    inputs = [np.broadcast_to(o.astype(np.float64), result.shape) for o in operands]
    finite = np.all([np.isfinite(x) for x in inputs], axis=0)
    nonzero = np.all([x != 0 for x in inputs], axis=0)
    small = np.abs(result) < 2.0 ** FORMATS[values.dtype.name].min_exp
    by_zero = (inputs[1] == 0) if op_type == "RealDiv" else np.zeros(result.shape, bool)
    row[INDEX["overflow"]] = (finite & ~np.isfinite(result) & ~by_zero).sum()
    if op_type not in _SUMS:
        row[INDEX["underflow"]] = (finite & nonzero & small).sum()
        return
    a, b = inputs
    row[INDEX["operands"]] = nonzero.sum()
    row[INDEX["absorbed"]] = (nonzero & ((result == a) | (result == b))).sum()
    counted = nonzero & finite & np.isfinite(result) & (result != 0)
    if counted.any():
        largest = np.maximum(exponents(a[counted]), exponents(b[counted]))
        row[INDEX["cancelled"]] = np.maximum(largest - exponents(result[counted]), 0).max()


def exponent_histogram(values: Array) -> NDArray[np.uint8]:
    """uint8 [HISTOGRAM_BINS] of the non-zero finite elements, as StepRecord.histogram defines it."""
    fmt = FORMATS[values.dtype.name]
    wide = values.astype(np.float64).ravel()
    kept = wide[np.isfinite(wide) & (wide != 0)]
    if not kept.size:
        return np.zeros(HISTOGRAM_BINS, np.uint8)
    bins = (exponents(kept) - fmt.min_subnormal_exp) // fmt.bin_width
    counts = np.bincount(bins, minlength=HISTOGRAM_BINS)
    share = np.rint(255 * counts / kept.size)
    return np.where(counts > 0, np.maximum(share, 1), 0).astype(np.uint8)


@dataclass(frozen=True)
class Node:
    """One measured array of the current step."""

    slot: int
    array: Array


@dataclass
class Trace:
    """Runs a model step by step; the first step fills the op table, every step gives a record.

    Attributes:
      script: the lines of the pretended ``train.py``, by line number.
      sites: the op table.
      first_nonfinite: (step, slot) of the first op that made NaN or Inf from finite operands.
      notes: of the current step's record.
    """

    script: dict[int, str]
    sites: list[OpSite] = field(default_factory=list)
    first_nonfinite: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    _step: int = 0
    _records: int = 0
    _rows: list[Row] = field(default_factory=list)
    _histograms: list[NDArray[np.uint8]] = field(default_factory=list)

    def leaf(self, name: str, value: Array, role: Role, line: int, **fields: Any) -> Node:
        """An array that no op computes: an input, a constant or a variable."""
        op_type = {Role.INPUT: "Placeholder", Role.CONSTANT: "Const"}.get(role, "ReadVariableOp")
        return self._add(op_type, name, value, (), role, line, fields)

    def op(
        self, op_type: str, value: Array, *inputs: Node, line: int, role: Role = Role.FORWARD, **fields: Any
    ) -> Node:
        """What an op computed from its inputs."""
        layer = fields.get("layer", "")
        name = f"{layer}/{op_type}" if layer else op_type
        return self._add(op_type, name, flushed(value), inputs, role, line, fields)

    def amend(self, node: Node, **counters: float) -> None:
        """Changes what was counted of a tensor in this step."""
        for name, value in counters.items():
            self._rows[node.slot][INDEX[name]] = value

    def record(self, session: str = SESSION) -> StepRecord:
        """Ends the step."""
        record = StepRecord(
            session=session,
            step=self._step,
            wall_time=START + self._step,
            slots=np.arange(len(self._rows)),
            rows=np.array(self._rows),
            histogram=np.array(self._histograms),
            first_nonfinite=self.first_nonfinite,
            notes=self.notes,
            records_before=self._records,
        )
        self._step += 1
        self._records += 1
        self._rows, self._histograms, self.notes = [], [], ()
        return record

    def _add(
        self,
        op_type: str,
        name: str,
        value: Array,
        inputs: tuple[Node, ...],
        role: Role,
        line: int,
        fields: dict[str, Any],
    ) -> Node:
        slot = len(self._rows)
        row = measure(value, op_type, tuple(n.array for n in inputs))
        if slot == len(self.sites):
            frames = (
                Frame("train.py", line, "train_step", self.script[line]),
                Frame("train.py", max(self.script), "<module>", self.script[max(self.script)]),
            )
            self.sites.append(
                OpSite(
                    op_type,
                    f"{name}_{slot}",
                    dtype=value.dtype.name,
                    shape=value.shape,
                    inputs=tuple(n.slot for n in inputs),
                    frames=frames,
                    role=role,
                    constant=tuple(row) if role is Role.CONSTANT else (),
                    **fields,
                )
            )
        self._rows.append(row)
        self._histograms.append(exponent_histogram(value))
        made_here = not np.isfinite(value).all() and all(np.isfinite(n.array).all() for n in inputs)
        if self.first_nonfinite is None and made_here:
            self.first_nonfinite = (self._step, slot)
        return Node(slot, value)


def flushed(values: Array) -> Array:
    """Values as TensorFlow's CPU kernels leave them: float32 subnormals become zero."""
    if values.dtype == np.float32:
        return np.where(np.abs(values) < np.float32(2.0**-126), np.float32(0) * values, values)
    return values
