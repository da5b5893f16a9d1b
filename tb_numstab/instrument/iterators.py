"""A step that pulls its own data from a tf.data iterator: keeping what it pulled, to run it again."""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


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
        self.spec = iterator.element_spec
        self.for_training: Any = as_iterator(self._training(), self.spec)
        _open.add(self)

    def for_measuring(self) -> Any:
        """An iterator whose elements the training run gets as well; each begins at the same one."""
        return as_iterator(self._measuring(), self.spec)

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


def _mapped(args: tuple[Any, ...], kwargs: dict[str, Any], change: Any) -> Arguments:
    flat = tf.nest.flatten((args, kwargs))
    if not any(isinstance(a, iterator_ops.OwnedIterator) for a in flat):
        return args, kwargs
    changed = [change(_tap(a)) if isinstance(a, iterator_ops.OwnedIterator) else a for a in flat]
    result: Arguments = tf.nest.pack_sequence_as((args, kwargs), changed)
    return result


def for_measuring(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Arguments for a measured run; what it pulls, the next training run pulls again."""
    return _mapped(args, kwargs, lambda tap: tap.for_measuring())


def for_training(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Arguments for the training run."""

    def start(tap: _Tap) -> Any:
        tap.pulled.clear()
        return tap.for_training

    return _mapped(args, kwargs, start)


def recorded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of the training run that just ended, with iterators that yield what it pulled."""
    return _mapped(args, kwargs, lambda tap: Replay(list(tap.pulled), tap.spec))


class Replay:
    """The elements that one run pulled from one iterator."""

    def __init__(self, elements: list[Any], spec: Any) -> None:
        self._elements = elements
        self._spec = spec

    def iterator(self) -> Any:
        """A tf.data iterator over them."""
        return as_iterator(self._elements, self._spec)


def opened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Recorded arguments with every Replay as a fresh iterator."""
    flat = tf.nest.flatten((args, kwargs))
    if not any(isinstance(a, Replay) for a in flat):
        return args, kwargs
    result: Arguments = tf.nest.pack_sequence_as(
        (args, kwargs), [a.iterator() if isinstance(a, Replay) else a for a in flat]
    )
    return result


def as_iterator(elements: Iterable[Any], spec: Any) -> Any:
    """A tf.data iterator over Python elements, which pulls none before it is asked for it."""
    options = tf.data.Options()
    # Nothing may run ahead: an element pulled early would be lost to the training run.
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    options.autotune.enabled = False
    options.experimental_slack = False
    dataset = tf.data.Dataset.from_generator(lambda: iter(elements), output_signature=spec)
    return iter(dataset.with_options(options))
