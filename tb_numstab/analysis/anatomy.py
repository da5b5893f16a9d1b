"""The parts of a training step: its loss, the layers with a kernel, the gradients the optimizer gets."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tb_numstab.analysis.graph import Mask, OpGraph, Slots
from tb_numstab.schema.ops import Role

_LOSS_SCALES = ("dynamic_scale", "current_loss_scale", "loss_scale")
"""Last part of the name of the loss scale of Keras 3, of Keras 2, and of most loops by hand."""


class Anatomy:
    """What the op table says about a training step."""

    def __init__(self, graph: OpGraph) -> None:
        self.graph = graph

    @cached_property
    def loss(self) -> int:
        """The scalar that a gradient is taken of, before any loss scale; -1 where there is none."""
        graph = self.graph
        forward = graph.role(Role.FORWARD) & graph.scalar & graph.guards.differentiated
        scaled = graph.as_mask(graph.edge_target[graph.as_mask(self.loss_scales)[graph.edge_source]])
        found = np.flatnonzero(forward & ~scaled)
        return self._total(int(found[-1])) if len(found) else -1

    def _total(self, slot: int) -> int:
        """The sum that a part of the loss goes into: a gradient passes a sum unchanged, so no op is its gradient."""
        graph = self.graph
        sums = graph.mask("add") & graph.scalar & graph.role(Role.FORWARD)
        while len(total := [int(s) for s in graph.consumers(slot) if sums[s] and s > slot]):
            slot = total[0]
        return slot

    @cached_property
    def loss_scales(self) -> Slots:
        """Variables that hold a loss scale, as the step found them."""
        read = np.flatnonzero(self.graph.scalar & self.graph.role(Role.VARIABLE))
        names = [self.graph.sites[s].variable.rpartition("/")[2].partition(":")[0] for s in read]
        return read[np.isin(names, _LOSS_SCALES)]

    @cached_property
    def gradients(self) -> Slots:
        """Gradients as backpropagation leaves them, before optimizer and clipping."""
        graph = self.graph
        taken = graph.role(Role.OPTIMIZER, Role.UPDATE)[graph.edge_target]
        read = graph.as_mask(graph.edge_source[taken])
        return np.flatnonzero(read & graph.role(Role.GRADIENT))

    @cached_property
    def clipped(self) -> bool:
        """Whether the optimizer clips gradients, by value or by norm."""
        return bool((self.graph.mask("clip", "select") & self.graph.role(Role.OPTIMIZER)).any())

    @cached_property
    def layers(self) -> tuple[Slots, Slots, Slots]:
        """Forward products of a tensor and a trained kernel, in order: the products, the tensors, the kernels."""
        graph = self.graph
        found = []
        for slot in graph.members("matmul", "conv"):
            x, y = int(graph.x[slot]), int(graph.y[slot])
            kernel = self._variable(y)
            if graph.sites[slot].role is Role.FORWARD and x >= 0 and kernel >= 0 and self._variable(x) < 0:
                found.append((int(slot), x, kernel))
        products, inputs, kernels = np.array(found, np.int64).reshape(-1, 3).T
        return products, inputs, kernels

    def _variable(self, slot: int) -> int:
        """The trained variable a slot is, but for a cast; -1 where it is none."""
        if slot >= 0 and self.graph.family(slot) == "cast":
            slot = int(self.graph.x[slot])
        return slot if slot >= 0 and self.graph.sites[slot].role is Role.VARIABLE and self.graph.trainable[slot] else -1

    def follows(self, layer: int) -> bool:
        """Whether a layer, by its place in ``layers``, works on what the one before gave, with another kernel."""
        graph, (products, inputs, kernels) = self.graph, self.layers
        between = graph.role(Role.FORWARD) & ~graph.as_mask(products)
        given = graph.carrying(graph.as_mask(products[layer - 1 : layer]), between)
        names = [graph.sites[kernel].variable for kernel in kernels[layer - 1 : layer + 1]]
        return bool(given[inputs[layer]]) and names[0] != names[1]

    @cached_property
    def kernel_gradients(self) -> Slots:
        """The gradient of each layer's kernel, -1 where it is not made by one op."""
        made_for = {self.graph.sites[slot].gradient_of: int(slot) for slot in self.gradients}
        return np.array([made_for.get(int(product), -1) for product in self.layers[0]], np.int64)

    @cached_property
    def hidden(self) -> Mask:
        """Forward slots whose value another layer with a kernel works on, bool [N]."""
        graph = self.graph
        reaches = graph.as_mask(self.layers[1])
        forward = graph.role(Role.FORWARD)
        for slot in range(graph.size - 1, -1, -1):  # consumers come later
            if reaches[slot] and forward[slot]:
                reaches[graph.inputs(slot)] = True
        return reaches & forward
