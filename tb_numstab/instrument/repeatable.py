"""Whether a function may run a second time without anybody noticing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tb_numstab.instrument import datasets
from tb_numstab.instrument.called import changes_resource
from tb_numstab.instrument.data_names import element_names
from tb_numstab.instrument.iterators import iterators_in
from tb_numstab.instrument.nesting import outermost
from tb_numstab.instrument.op_types import CALLS, FROM_ITERATOR, LEGACY_RANDOM, SAFE_RESOURCE_READS
from tb_numstab.instrument.recorder import owner_of
from tb_numstab.instrument.shadow import is_variable


class Repeatable:
    """Looks at each op of a function while it is traced.

    Attributes:
      refusal: why the function may not run twice; None as long as it may.
      notes: what differs in a second run.
      iterators: the tf.data iterators it captures, by id of their handle.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Takes the arguments of the trace."""
        self.refusal: str | None = None
        self.notes: set[str] = set()
        self.iterators: dict[int, Any] = {}
        self._given = {it._iterator_resource._id: it.element_spec for it in iterators_in(args, kwargs)}

    def check(self, op_type: str, inputs: Sequence[Any]) -> None:
        """Takes the next op; its inputs may be of any graph."""
        if op_type in LEGACY_RANDOM:
            self._note_random(op_type)
        elif op_type not in SAFE_RESOURCE_READS and op_type not in CALLS:
            for handle in (outermost(t) for t in inputs if t.dtype in (tf.resource, tf.variant)):
                if handle.dtype == tf.variant:
                    self._check_dataset(handle)
                elif op_type in FROM_ITERATOR:
                    self._check_iterator(handle)
                elif isinstance(handle, tf.__internal__.EagerTensor) and not is_variable(handle):
                    self._refuse_change(op_type)

    def check_called(self, op_type: str) -> None:
        """Takes an op of a graph that is called as it is, of which nobody can tell where its inputs are from."""
        if op_type in LEGACY_RANDOM:
            self._note_random(op_type)
        elif changes_resource(op_type):
            self._refuse_change(op_type)

    def _note_random(self, op_type: str) -> None:
        self.notes.add(f"{op_type} draws its own numbers in the measured run; use tf.random.Generator or stateless ops")

    def _refuse_change(self, op_type: str) -> None:
        self._refuse(f"{op_type} changes a captured resource that cannot be copied; move that out of the function")

    def _check_dataset(self, variant: Any) -> None:
        if isinstance(variant, tf.__internal__.EagerTensor):
            dataset = datasets.captured(variant)
            if dataset is not None and datasets.changes(dataset):
                self._refuse(datasets.REFUSAL)

    def _check_iterator(self, handle: Any) -> None:
        made_inside = not isinstance(handle, tf.__internal__.EagerTensor) and handle.op.type != "Placeholder"
        if made_inside or handle._id in self._given:
            return
        iterator = owner_of(handle, "_iterator_resource")
        if iterator is not None:
            self.iterators[id(handle)] = iterator
        else:
            self._refuse(
                "it captures an iterator that cannot be read twice; give it the data, or the iterator, as an argument"
            )

    def element_names(self, handle: Any) -> list[str]:
        """What to call the parts of the elements of an iterator that was checked; [] where it is not known."""
        handle = outermost(handle)
        if handle._id in self._given:
            return element_names(self._given[handle._id])
        captured = self.iterators.get(id(handle))
        return [] if captured is None else element_names(captured.element_spec)

    def _refuse(self, reason: str) -> None:
        self.refusal = self.refusal or reason
