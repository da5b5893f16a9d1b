"""Recording what XLA compiles, compiled: for a NaN that shows only there.

XLA contracts and reorders arithmetic, so a step may fail compiled and stay finite op by op. No host code
runs inside a compiled function; what is to be measured leaves it as results.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tb_numstab.instrument.bucket import Bucket
from tb_numstab.instrument.graph_recorder import GraphRecorder
from tb_numstab.instrument.inline import call_function, call_inline

COMPILED = "measured compiled by XLA, every result kept; loops and branches inside are not measured"


class CompiledRecorder(GraphRecorder):
    """Keeps functions with jit_compile compiled; all else is as in GraphRecorder."""

    _inside: Any = None  # the graph of the compiled function being traced

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not function._jit_compile or self._inside is not None:
            return call_inline(function, args, kwargs)
        self.notes.add(COMPILED)
        outer = tf.nest.flatten((args, kwargs), expand_composites=True)
        bucket, returned = Bucket(), list[int]()

        def body(*inner_args: Any, **inner_kwargs: Any) -> Any:
            self._inside = tf.compat.v1.get_default_graph()
            self._share_slots(outer, tf.nest.flatten((inner_args, inner_kwargs), expand_composites=True))
            result = call_inline(function, inner_args, inner_kwargs)
            returned.extend(self._slot_or_none(t) for t in tf.nest.flatten(result, expand_composites=True))
            bucket.take(self._buckets.pop(id(self._inside), Bucket()))
            return result, bucket.tensors

        try:
            result, bucket.tensors = call_function(
                tf.function(body, jit_compile=True, autograph=False), *args, **kwargs
            )
        finally:
            self._inside = None
        for tensor, slot in zip(tf.nest.flatten(result, expand_composites=True), returned, strict=True):
            if slot >= 0:
                self.alias(tensor, slot)
        with self.unrecorded():
            bucket.send(self._collect)
        return result

    def record(self, op_type: str, inputs: Any, outputs: Any, op_name: str | None, graph: Any) -> None:
        # The call itself is no op: its results have the slots of what it computes.
        if self._inside is None or self._within(graph):
            super().record(op_type, inputs, outputs, op_name, graph)

    def _within(self, graph: Any) -> bool:
        while graph is not None and graph is not self._inside:
            graph = getattr(graph, "outer_graph", None)
        return graph is not None

    def _send(self, graph: Any) -> None:
        if self._inside is None:
            super()._send(graph)
        elif graph is not self._inside:
            self._buckets.pop(id(graph), None)  # a loop or branch: nothing can leave it

    def _share_slots(self, outer: list[Any], inner: list[Any]) -> None:
        for source, tensor in zip(outer, inner, strict=False):
            if tf.is_tensor(source) and self._slot_or_none(source) >= 0:
                self.alias(tensor, self._slot_or_none(source))

    def _slot_or_none(self, tensor: Any) -> int:
        return self._slots.get(getattr(tensor, "_id", None), -1)
