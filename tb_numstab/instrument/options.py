"""The options that ``watch``, ``NumericalHealth`` and ``HealthHook`` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tb_numstab.instrument.schedule import MAX_RECORDS, make_schedule

OnNonfinite = Literal["warn", "raise", "ignore"]
SourceLines = Literal["on", "off"]


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
    source: SourceLines = "on"

    def __post_init__(self) -> None:
        make_schedule(self.every, self.max_records)  # refuses what it cannot follow
        for name, allowed in (("on_nonfinite", OnNonfinite), ("source", SourceLines)):
            if (value := getattr(self, name)) not in get_args(allowed):
                raise ValueError(f"{name} must be one of {get_args(allowed)}; got {value!r}")
