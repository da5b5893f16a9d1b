"""A step that pulls its own data from a tf.data iterator: keeping what it pulled, to run it again.

The iterator is an argument or captured by the function; a distributed one consists of one for each replica.
"""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops, multi_device_iterator_ops
from tensorflow.python.distribute import input_lib
from tensorflow.python.eager.polymorphic_function import function_type_utils

_ITERATORS = (
    iterator_ops.OwnedIterator,
    multi_device_iterator_ops.OwnedMultiDeviceIterator,
    input_lib._SingleWorkerOwnedDatasetIterator,
    input_lib.DistributedIterator,
)
"""A distributed iterator has one for each worker, that one for all devices, and in it a plain one for each device."""


class Arguments(NamedTuple):
    """What a call of a tf.function is given.

    Attributes:
      args: positional arguments.
      kwargs: keyword arguments.
      captured: iterators that the function captures, by the id of their handle.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    captured: dict[int, Any]

    @classmethod
    def of(cls, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Those of a call, and the defaults of the tf.function's parameters that it leaves out."""
        defaults = function._default_values
        if not defaults:
            return cls(args, kwargs, {})
        bound = function_type_utils.bind_function_inputs(args, kwargs, function._function_type, defaults)
        return cls(bound.args, bound.kwargs, {})

    def only_tensors(self) -> bool:
        """Whether there is nothing to look into: the usual case, and cheaper to tell than to flatten them."""
        given = (*self.args, *self.kwargs.values())
        return not self.captured and all(isinstance(a, tf.__internal__.EagerTensor) for a in given)

    def handles(self) -> dict[int, Any]:
        """The handles to call the function with, by the id of the captured one each stands for."""
        return {key: iterator._iterator_resource for key, iterator in self.captured.items()}


_open: weakref.WeakSet[_Tap] = weakref.WeakSet()


@atexit.register
def _close() -> None:
    """TensorFlow complains of generators that are still open once Python is gone."""
    for tap in list(_open):
        tap.for_training = None


class _Tap:
    """Stands between one iterator and the step: hands its elements on and remembers them."""

    def __init__(self, iterator: Any) -> None:
        self._source = iter(iterator)
        self._ahead: deque[Any] = deque()  # pulled by a measured run, owed to the training run
        self.pulled: list[Any] = []
        self.spec, self.device = iterator.element_spec, iterator._iterator_resource.device
        self.for_training: Any = as_iterator(self._training(), self.spec, self.device)
        _open.add(self)

    def for_measuring(self) -> Any:
        """An iterator whose elements the training run gets as well; each begins at the same one."""
        return as_iterator(self._measuring(), self.spec, self.device)

    def _measuring(self) -> Iterator[Any]:
        yield from tuple(self._ahead)
        for element in self._source:
            self._ahead.append(element)
            yield element

    def _training(self) -> Iterator[Any]:
        while True:
            if self._ahead:
                element = self._ahead.popleft()
            else:
                try:
                    element = next(self._source)
                except StopIteration:
                    return
            self.pulled.append(element)
            yield element


def _tap(iterator: Any) -> _Tap:
    # Kept on the iterator itself: it must live exactly as long, and elements may be owed through it.
    tap: _Tap | None = getattr(iterator, "_numstab_tap", None)
    if tap is None:
        tap = iterator._numstab_tap = _Tap(iterator)
    return tap


class Replay:
    """The elements that one run pulled from one iterator."""

    def __init__(self, tap: _Tap) -> None:
        self._elements, self._spec, self._device = list(tap.pulled), tap.spec, tap.device

    def iterator(self) -> Any:
        """A tf.data iterator over them."""
        return as_iterator(self._elements, self._spec, self._device)


def for_measuring(arguments: Arguments) -> Arguments:
    """Arguments for a measured run; what it pulls, the next training run pulls again."""
    return _mapped(arguments, lambda iterator: _tap(iterator).for_measuring())


def for_training(arguments: Arguments) -> Arguments:
    """Arguments for the training run."""

    def start(iterator: Any) -> Any:
        tap = _tap(iterator)
        tap.pulled.clear()
        return tap.for_training

    return _mapped(arguments, start)


def recorded(arguments: Arguments) -> Arguments:
    """The arguments of the training run that just ended, with a Replay of what it pulled from each iterator."""
    return _mapped(arguments, lambda iterator: Replay(_tap(iterator)))


def opened(arguments: Arguments) -> Arguments:
    """Recorded arguments with every Replay as a fresh iterator."""
    return _mapped(arguments, Replay.iterator)


def iterators_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All iterators among the arguments; of a distributed one, those of its replicas."""
    found: list[Any] = []

    def note(iterator: Any) -> Any:
        found.append(iterator)
        return iterator

    _mapped(Arguments(args, kwargs, {}), note)
    return found


def _mapped(arguments: Arguments, change: Callable[[Any], Any]) -> Arguments:
    if arguments.only_tensors():
        return arguments
    flat = tf.nest.flatten(tuple(arguments))
    if not any(isinstance(a, (*_ITERATORS, Replay)) for a in flat):
        return arguments
    return Arguments(*tf.nest.pack_sequence_as(tuple(arguments), [_changed(a, change) for a in flat]))


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with each plain iterator in it changed."""
    if isinstance(value, (iterator_ops.OwnedIterator, Replay)):
        return change(value)
    if isinstance(value, _ITERATORS):
        spec = value._type_spec
        return spec._from_components([_changed(part, change) for part in spec._to_components(value)])
    return value


def as_iterator(elements: Iterable[Any], spec: Any, device: str) -> Any:
    """A tf.data iterator over Python elements, which pulls none before it is asked for it."""
    options = tf.data.Options()
    # Nothing may run ahead: an element pulled early would be lost to the training run.
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    options.autotune.enabled = False
    options.experimental_slack = False
    with tf.device(device):
        dataset = tf.data.Dataset.from_generator(lambda: iter(elements), output_signature=spec)
        return iter(dataset.with_options(options))
