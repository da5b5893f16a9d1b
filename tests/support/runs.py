"""Four trainings of a small classifier in numpy, measured and ready to write as runs.

healthy: nothing is wrong.
nan_softmax_log: an annealed temperature spreads the logits until Softmax underflows to zero; Log
  gives -Inf at step 57, then loss, gradients and variables are NaN.
fp16_overflow: a float16 Mul by a growing gain overflows at step 33.
absorbed_updates: the learning rate is below one ulp, every update is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tb_numstab.schema.ops import OpSite, Role
from tb_numstab.schema.record import StepRecord
from tests.support.numpy_trace import Array, Node, Trace
from tests.support.synthetic import Recorder

STEPS = 80
BATCH, FEATURES, HIDDEN, CLASSES = 32, 20, 24, 10

SCRIPT = {
    31: "def train_step(x, y, temperature, gain):",
    33: "h = self.dense_0(x)",
    34: "h = self.dense_1(h * gain)",
    35: "logits = self.dense_2(h)",
    37: "p = tf.nn.softmax(logits / temperature)",
    38: "loss = -tf.reduce_mean(tf.reduce_sum(y * tf.math.log(p), axis=1))",
    40: "gradients = tape.gradient(loss, variables)",
    42: "m.assign(0.9 * m + g)",
    43: "v.assign_sub(learning_rate * m)",
    58: "train_step(x, y, temperature, gain)",
}


@dataclass(frozen=True)
class Scenario:
    """What differs between the four trainings.

    Attributes:
      dtype: of the forward and backward pass; variables are float32.
      learning_rate: of SGD with momentum.
      logit_spread: step -> the largest minus the smallest logit of one example, after division by
        the temperature.
      gain_peak: step -> the largest magnitude the gain lets the second layer's input reach.
      offset: added to every initial weight.
      fused: the loss takes LogSoftmax of the logits; else Log of their Softmax.
    """

    dtype: type = np.float32
    learning_rate: float = 0.02
    logit_spread: Callable[[int], float] = lambda step: 4.0
    gain_peak: Callable[[int], float] = lambda step: 2.0
    offset: float = 0.0
    fused: bool = True


SCENARIOS: dict[str, Scenario] = {
    "healthy": Scenario(),
    # exp underflows in float32 below -87.3: spread 84.9 at step 56, 90.0 at step 57.
    "nan_softmax_log": Scenario(logit_spread=lambda step: 90.0 * 1.06 ** (step - 57), fused=False),
    # float16 ends at 65504: the peak grows by two bits a step to 18750 at step 32, 75000 at step 33.
    "fp16_overflow": Scenario(dtype=np.float16, gain_peak=lambda step: max(2.0, 75000.0 * 0.25 ** (33 - step))),
    "absorbed_updates": Scenario(learning_rate=1e-9, offset=1.5),
}


@dataclass(frozen=True)
class SyntheticRun:
    """One training's op table and records."""

    sites: tuple[OpSite, ...]
    records: tuple[StepRecord, ...]

    def slot(self, op_type: str, role: Role = Role.FORWARD) -> int:
        """The first slot with this op type and role."""
        return next(i for i, s in enumerate(self.sites) if s.op_type == op_type and s.role is role)

    def write(self, logdir: Path) -> Path:
        """Writes the run as one event file and returns logdir."""
        with Recorder(logdir) as recorder:
            recorder.ops(self.sites)
            for record in self.records:
                recorder.step(record)
        return logdir


def make_run(name: str, steps: int = STEPS) -> SyntheticRun:
    """The training SCENARIOS[name]."""
    model = _Classifier(SCENARIOS[name])
    with np.errstate(all="ignore"):
        records = tuple(model.train(steps))
    return SyntheticRun(tuple(model.trace.sites), records)


def write_all(logdir: Path, steps: int = STEPS) -> Path:
    """All four trainings as runs of one log folder."""
    for name in SCENARIOS:
        make_run(name, steps).write(logdir / name)
    return logdir


@dataclass(frozen=True)
class _Dense:
    """The nodes of one dense layer in one step."""

    name: str
    x: Node
    kernel: Node
    total: Node
    output: Node


class _Classifier:
    """Three dense layers with a hand-written softmax cross-entropy, trained by SGD with momentum."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.trace = Trace(SCRIPT)
        random = np.random.default_rng(7)
        widths = (FEATURES, HIDDEN, HIDDEN, CLASSES)
        self.variables: dict[str, Array] = {}
        for i, shape in enumerate(pairwise(widths)):
            kernel = random.normal(0, (2 / shape[0]) ** 0.5, shape)
            self.variables[f"dense_{i}/kernel"] = (kernel + scenario.offset).astype(np.float32)
            self.variables[f"dense_{i}/bias"] = np.full(shape[1], scenario.offset, np.float32)
        self.momenta = {name: np.zeros_like(value) for name, value in self.variables.items()}
        labels = random.integers(0, CLASSES, BATCH)
        self.x = random.normal(0, 1, (BATCH, FEATURES)).astype(np.float32)
        self.x[:, :CLASSES] += np.eye(CLASSES, dtype=np.float32)[labels]
        self.y = np.eye(CLASSES, dtype=np.float32)[labels]

    def train(self, steps: int) -> Iterator[StepRecord]:
        """Measures every step."""
        for step in range(steps):
            gradients = self._gradients(step)
            for name in self.variables:
                self._update(name, gradients[name])
            yield self.trace.record()

    def _gradients(self, step: int) -> dict[str, Node]:
        """Forward and backward pass; the gradient of each variable by its name."""
        op = self.trace.op
        x, y = self._input("x", self.x), self._input("y", self.y)
        weights = {name: self._weight(name) for name in self.variables}
        dense_0 = self._dense(0, x, weights, line=33)
        h = dense_0.output
        gain = self._input("gain", np.array(self.scenario.gain_peak(step) / float(h.array.max())))
        gained = op("Mul", h.array * gain.array, h, gain, line=34)
        dense_1 = self._dense(1, gained, weights, line=34)
        dense_2 = self._dense(2, dense_1.output, weights, line=35)
        logits = dense_2.output
        spread = np.ptp(logits.array.astype(np.float64), axis=1).max()
        temperature = self._input("temperature", np.array(spread / self.scenario.logit_spread(step)))
        z = op("RealDiv", logits.array / temperature.array, logits, temperature, line=37)
        dz = self._loss(z, y)
        backward: dict[str, Any] = dict(line=40, role=Role.GRADIENT)
        dlogits = op("RealDiv", dz.array / temperature.array, dz, temperature, gradient_of=z.slot, **backward)
        out: dict[str, Node] = {}
        dh = self._dense_gradient(dense_2, dlogits, out)
        dgained = self._dense_gradient(dense_1, dh, out)
        dh = op("Mul", dgained.array * gain.array, dgained, gain, gradient_of=gained.slot, **backward)
        self._dense_gradient(dense_0, dh, out)
        return out

    def _input(self, name: str, value: Array) -> Node:
        return self.trace.leaf(name, value.astype(self.scenario.dtype), Role.INPUT, line=31)

    def _weight(self, name: str) -> Node:
        """A variable as the step found it, cast to the compute format where that differs."""
        layer, line = "sequential/" + name.split("/")[0], 33 + int(name[6])
        read = self.trace.leaf(
            name, self.variables[name], Role.VARIABLE, line, layer=layer, variable=name, trainable=True
        )
        if self.scenario.dtype is np.float32:
            return read
        return self.trace.op("Cast", read.array.astype(self.scenario.dtype), read, line=line, layer=layer)

    def _dense(self, i: int, x: Node, weights: dict[str, Node], line: int) -> _Dense:
        name = f"dense_{i}"
        where: dict[str, Any] = dict(line=line, layer=f"sequential/{name}")
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        product = self.trace.op("MatMul", x.array @ kernel.array, x, kernel, **where)
        total = self.trace.op("BiasAdd", product.array + bias.array, product, bias, **where)
        output = total
        if i < 2:
            output = self.trace.op("Relu", np.maximum(total.array, 0), total, **where)
        return _Dense(name, x, kernel, total, output)

    def _dense_gradient(self, dense: _Dense, upstream: Node, out: dict[str, Node]) -> Node:
        """Adds the layer's weight gradients to out and returns the gradient of its input."""
        op = self.trace.op
        where: dict[str, Any] = dict(line=40, role=Role.GRADIENT, layer=f"sequential/{dense.name}")
        if dense.output is not dense.total:
            passed = np.where(dense.output.array > 0, upstream.array, 0).astype(upstream.array.dtype)
            upstream = op("ReluGrad", passed, upstream, dense.output, gradient_of=dense.output.slot, **where)
        bias_gradient = upstream.array.sum(axis=0)
        out[f"{dense.name}/bias"] = op("BiasAddGrad", bias_gradient, upstream, gradient_of=dense.total.slot, **where)
        where["gradient_of"] = dense.total.slot - 1
        kernel_gradient = dense.x.array.T @ upstream.array
        out[f"{dense.name}/kernel"] = op("MatMul", kernel_gradient, dense.x, upstream, **where)
        return op("MatMul", upstream.array @ dense.kernel.array.T, upstream, dense.kernel, **where)

    def _loss(self, z: Node, y: Node) -> Node:
        """Softmax cross-entropy written by hand; returns the gradient of z."""
        op = self.trace.op
        e = np.exp(z.array - z.array.max(axis=1, keepdims=True))
        p = op("Softmax", e / e.sum(axis=1, keepdims=True), z, line=37)
        log = op(
            "LogSoftmax" if self.scenario.fused else "Log", np.log(p.array), z if self.scenario.fused else p, line=38
        )
        picked = op("Mul", y.array * log.array, y, log, line=38)
        summed = op("Sum", picked.array.sum(axis=1), picked, line=38)
        mean = op("Mean", np.array(summed.array.mean(), summed.array.dtype), summed, line=38)
        op("Neg", -mean.array, mean, line=38, returned=True)
        backward: dict[str, Any] = dict(line=40, role=Role.GRADIENT)
        dlog = op("Mul", y.array * y.array.dtype.type(-1 / BATCH), y, gradient_of=picked.slot, **backward)
        dp = op("RealDiv", dlog.array / p.array, dlog, p, gradient_of=log.slot, **backward)
        backward["gradient_of"] = p.slot
        weighted = op("Mul", dp.array * p.array, dp, p, **backward)
        total = op("Sum", weighted.array.sum(axis=1, keepdims=True), weighted, **backward)
        centred = op("Sub", dp.array - total.array, dp, total, **backward)
        return op("Mul", centred.array * p.array, centred, p, **backward)

    def _update(self, name: str, gradient: Node) -> None:
        """One step of SGD with momentum on a float32 variable."""
        op = self.trace.op
        where: dict[str, Any] = dict(layer=f"sequential/{name.split('/')[0]}", variable=name)
        if gradient.array.dtype != np.float32:
            gradient = op("Cast", gradient.array.astype(np.float32), gradient, role=Role.OPTIMIZER, line=42)
        momentum = self.trace.leaf(
            f"m/{name}", self.momenta[name], Role.VARIABLE, 42, **where | {"variable": f"m/{name}"}
        )
        kept = op("Mul", momentum.array * np.float32(0.9), momentum, line=42, role=Role.OPTIMIZER)
        momentum = op("AddV2", kept.array + gradient.array, kept, gradient, line=42, role=Role.OPTIMIZER)
        delta = op(
            "Mul", momentum.array * np.float32(self.scenario.learning_rate), momentum, line=43, role=Role.OPTIMIZER
        )
        read = self.trace.leaf(name, self.variables[name], Role.VARIABLE, 43, trainable=True, **where)
        new = op(
            "AssignSubVariableOp", read.array - delta.array, read, delta,
            line=43, role=Role.UPDATE, trainable=True, **where,
        )  # fmt: skip
        self.momenta[name], self.variables[name] = momentum.array, new.array
