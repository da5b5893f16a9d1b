"""What a step pulls through a tap: the same elements, and once more when they are asked for again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tb_numstab.instrument import iterators, tap
from tb_numstab.instrument.iterators import Arguments

NUMBERS = np.arange(24, dtype=np.float32).reshape(6, 4)
RAGGED = tf.ragged.constant([[1.0], [2.0, 3.0], [], [4.0], [5.0], [6.0]])


def numbers() -> Any:
    return tf.data.Dataset.from_tensor_slices(NUMBERS)


def nested() -> Any:
    return tf.data.Dataset.from_tensor_slices({"x": NUMBERS, "more": (list("abcdef"), np.arange(6))}).batch(2)


def ragged() -> Any:
    return tf.data.Dataset.from_tensor_slices((RAGGED, NUMBERS)).batch(4)


def sparse() -> Any:
    return numbers().map(tf.sparse.from_dense)


def nothing_beside() -> Any:
    return numbers().map(lambda x: (x, None))


def shuffled() -> Any:
    return numbers().shuffle(6, seed=1).repeat(2)


def in_parallel() -> Any:
    return numbers().map(lambda x: x + 1, num_parallel_calls=2).prefetch(2)


def from_python() -> Any:
    return tf.data.Dataset.from_generator(lambda: iter(NUMBERS), output_signature=tf.TensorSpec([4]))


DATASETS = (numbers, nested, ragged, sparse, nothing_beside, shuffled, in_parallel, from_python)


def flat(element: Any) -> list[Any]:
    return [np.asarray(part).tolist() for part in tf.nest.flatten(element, expand_composites=True)]


def elements(iterator: Any) -> list[Any]:
    """What a tf.function pulls until nothing is left."""
    pull = tf.function(lambda source: next(source))
    found = []
    while True:
        try:
            found.append(flat(pull(iterator)))
        except tf.errors.OutOfRangeError:
            return found


def tapped(iterator: Any) -> Any:
    return iterators.for_training(Arguments((iterator,), {}, {})).args[0]


def replayed(iterator: Any) -> Any:
    return iterators.opened(iterators.recorded(Arguments((iterator,), {}, {}))).args[0]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.__name__)
def test_a_tap_hands_on_every_element_and_gives_them_again(dataset: Callable[[], Any]) -> None:
    tf.random.set_seed(0)
    expected = [flat(element) for element in dataset()]
    tf.random.set_seed(0)
    source = iter(dataset())
    through = tapped(source)
    assert elements(through) == expected
    again = replayed(source)
    assert elements(again) == expected
    # A tf.function takes all three for the same argument, and is not traced anew.
    assert source._type_spec == through._type_spec == again._type_spec


def test_nothing_is_pulled_that_was_not_asked_for() -> None:
    source = iter(numbers())
    through = tapped(source)
    assert flat(next(through)) == flat(NUMBERS[0])
    assert flat(next(source)) == flat(NUMBERS[1])
    assert flat(next(through)) == flat(NUMBERS[2])


def test_each_run_gets_its_own_elements_again() -> None:
    source = iter(numbers())
    runs: list[Any] = []
    for count in (2, 0, 3):
        through = tapped(source)
        for _ in range(count):
            next(through)
        runs.append(replayed(source))
    assert [elements(run) for run in runs] == [
        [flat(x) for x in NUMBERS[first:end]] for first, end in ((0, 2), (2, 2), (2, 5))
    ]


def test_an_iterator_that_is_given_twice_stays_one() -> None:
    source = iter(numbers())
    given = Arguments((source,), {"again": {"x": source}}, {})
    for run in (iterators.for_training, lambda given: iterators.opened(iterators.recorded(given))):
        arguments = run(given)
        pulled = next(arguments.args[0]), next(arguments.kwargs["again"]["x"])
        assert np.array_equal(pulled, NUMBERS[:2])


def test_an_error_of_the_dataset_is_the_step_s_and_what_follows_is_not_lost() -> None:
    source = iter(numbers().map(lambda x: tf.debugging.check_numerics(tf.where(x == 4, np.nan, x), "bad")))
    through = tapped(source)
    assert flat(next(through)) == flat(NUMBERS[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad"):
        next(through)
    assert flat(next(through)) == flat(NUMBERS[2])
    assert elements(replayed(source)) == [flat(NUMBERS[0]), flat(NUMBERS[2])]


def test_of_a_call_that_pulls_too_much_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "CALL_BYTES", 2 * NUMBERS[0].nbytes)
    source, pulled = iter(numbers()), []
    for _ in range(2):
        through = tapped(source)
        pulled += [np.asarray(next(through)) for _ in range(2)]
        assert elements(replayed(source)) == [flat(x) for x in pulled[-2:]]
        pulled.append(np.asarray(next(through)))
        kept = tf.raw_ops.ReadVariableOp(resource=source._numstab_tap._kept, dtype=tf.variant)
        assert int(tf.raw_ops.TensorListLength(input_handle=kept)) == 2
        with pytest.raises(tap.TooLarge, match="2 GB"):
            replayed(source)
    assert np.array_equal(pulled, NUMBERS)
