"""A step that pulls its own data from a tf.data iterator: keeping what it pulled, to run it again.

The iterator is an argument or captured by the function; a distributed one consists of one for each replica.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops, multi_device_iterator_ops
from tensorflow.python.distribute import input_lib
from tensorflow.python.eager.polymorphic_function import function_type_utils

from tb_numstab.instrument.tap import Replay, Tap

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


def _tap(iterator: Any) -> Tap:
    # Kept on the iterator itself: it must live exactly as long.
    tap: Tap | None = getattr(iterator, "_numstab_tap", None)
    if tap is None:
        tap = iterator._numstab_tap = Tap(iterator)
    return tap


def for_training(arguments: Arguments) -> Arguments:
    """Arguments for the training run, with a tap on each iterator."""

    def start(iterator: Any) -> Any:
        tap = _tap(iterator)
        tap.start()
        return tap.iterator

    return _mapped(arguments, start)


def recorded(arguments: Arguments) -> Arguments:
    """The arguments of the training run that just ended, with a Replay of what it pulled from each iterator."""
    return _mapped(arguments, lambda iterator: _tap(iterator).replay())


def opened(arguments: Arguments) -> Arguments:
    """Recorded arguments with every Replay as a fresh iterator."""
    return _mapped(arguments, Replay.iterator)


def sizes(arguments: Arguments) -> dict[int, int]:
    """Bytes of the tensors, arrays and replays among recorded arguments, by their id: one may be given every time."""
    given: Sequence[Any] = (*arguments.args, *arguments.kwargs.values())
    if not arguments.only_tensors():
        given = tf.nest.flatten(tuple(arguments), expand_composites=True)
    return {id(a): _size(a) for a in given}


def _size(value: Any) -> int:
    if isinstance(value, tf.__internal__.EagerTensor):
        return value._num_elements() * value.dtype.size  # type: ignore[no-any-return]  # TensorFlow is untyped
    return value.nbytes if isinstance(value, (Replay, np.ndarray)) else 0


def iterators_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All iterators among the arguments; of a distributed one, those of its replicas."""
    found: list[Any] = []

    def note(iterator: Any) -> Any:
        found.append(iterator)
        return iterator

    _mapped(Arguments(args, kwargs, {}), note)
    return found


def _mapped(arguments: Arguments, change: Callable[[Any], Any]) -> Arguments:
    """The arguments with each plain iterator in them changed; the very same ones where there is none."""
    if arguments.only_tensors():
        return arguments
    if not any(isinstance(a, (*_ITERATORS, Replay)) for a in tf.nest.flatten(tuple(arguments))):
        return arguments
    done: dict[int, tuple[Any, Any]] = {}

    def once(iterator: Any) -> Any:  # one that is given twice stays one
        if id(iterator) not in done:
            done[id(iterator)] = iterator, change(iterator)
        return done[id(iterator)][1]

    return Arguments(*(_changed(part, once) for part in arguments))


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with each plain iterator in it changed."""
    if isinstance(value, (iterator_ops.OwnedIterator, Replay)):
        return change(value)
    if isinstance(value, _ITERATORS):
        spec = value._type_spec
        return spec._from_components([_changed(part, change) for part in spec._to_components(value)])
    if type(value) is tuple:  # the usual nests, for which tf.nest takes ten times as long
        return tuple(_changed(part, change) for part in value)
    if type(value) is dict:
        return {key: _changed(part, change) for key, part in value.items()}
    if tf.nest.is_nested(value):
        return tf.nest.map_structure(lambda part: _changed(part, change), value)
    return value
