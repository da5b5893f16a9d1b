"""The options that ``watch``, ``NumericalHealth`` and ``HealthHook`` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tb_numstab.instrument.schedule import MAX_RECORDS, make_schedule

OnNonfinite = Literal["warn", "raise", "ignore"]


@dataclass(frozen=True)
class Options:
    """How a training is watched; ``watch`` describes each.

    Raises:
      ValueError: a value is not allowed.
    """

    every: int | str = "auto"
    replay: bool = True
    on_nonfinite: OnNonfinite = "warn"
    max_records: int = MAX_RECORDS

    def __post_init__(self) -> None:
        make_schedule(self.every, self.max_records)  # refuses what it cannot follow
        if self.on_nonfinite not in get_args(OnNonfinite):
            raise ValueError(f"on_nonfinite must be one of {get_args(OnNonfinite)}; got {self.on_nonfinite!r}")
