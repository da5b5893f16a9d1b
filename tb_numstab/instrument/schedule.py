"""Which steps are measured."""

from __future__ import annotations

import numbers
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

COST_SHARE = 0.02
"""Share of the training time that "auto" spends on measured steps once the dense start is over."""

MAX_RECORDS = 1000
"""Default of ``max_records``: at 20 bytes per slot, 20 MB for a model of 1,000 measured tensors."""


class Schedule(ABC):
    """Asked once per step, in order, at the step's beginning."""

    @abstractmethod
    def due(self) -> bool:
        """Whether the step that begins now is to be measured."""


class Fixed(Schedule):
    """Every N-th step, the first one included."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._step = -1

    def due(self) -> bool:
        self._step += 1
        return self._step % self._every == 0


class Auto(Schedule):
    """Dense at first, then as often as the cost allows, and never more than ``max_records`` times.

    Steps 0, 1, 2, 5, 10, 21, ... are measured until the distance is the one at which measuring takes COST_SHARE
    of the time. It grows further with the steps behind, as fast as the records that are left run out. It is
    always odd: what alternates from step to step, such as the gradients of a training that diverges, would
    look alike in all even steps.

    Args:
      max_records: at least 2.
      clock: seconds; a step lasts from its beginning to that of the next, so that work the device does
        later counts too.
    """

    def __init__(self, max_records: int = MAX_RECORDS, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._left = max_records
        self._step = -1
        self._next = 0
        self._began: float | None = None
        self._measuring = False
        self._plain = self._measured = 0.0  # seconds of a typical step of either kind

    def due(self) -> bool:
        self._note_duration()
        self._step += 1
        self._measuring = self._step >= self._next and self._left > 0
        if self._measuring:
            self._left -= 1
            self._next = self._step + self._distance()
        return self._measuring

    def _distance(self) -> int:
        extra = max(0.0, self._measured - self._plain)
        affordable = int(extra / (COST_SHARE * self._plain)) if self._plain else self._step
        rationed = 2 * self._step // max(self._left, 1)
        return max(1, min(self._step, affordable), rationed) | 1

    def _note_duration(self) -> None:
        now, began = self._clock(), self._began
        self._began = now
        if began is None or self._step == 0:  # the first step also traces
            return
        seconds = now - began
        if self._measuring:
            self._measured = seconds
        else:
            # The least of late is what a step costs; pauses (validation, checkpoints) are not its fault.
            self._plain = min(seconds, 1.05 * self._plain) if self._plain else seconds


def make_schedule(every: int | str, max_records: int = MAX_RECORDS) -> Schedule:
    """The schedule that ``every`` names.

    Raises:
      ValueError: ``every`` is neither "auto" nor a whole number of at least 1, or ``max_records`` is below 2.
    """
    if every == "auto":
        if not isinstance(max_records, numbers.Integral) or max_records < 2:
            raise ValueError(f"max_records must be a whole number of at least 2; got {max_records!r}")
        return Auto(int(max_records))
    if isinstance(every, str) or not isinstance(every, numbers.Integral) or every < 1:
        raise ValueError(f'every must be "auto" or a whole number of steps, at least 1; got {every!r}')
    return Fixed(int(every))
