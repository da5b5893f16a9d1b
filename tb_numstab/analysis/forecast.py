"""What comes next: robust trends over the last records, extrapolated to a limit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.headroom import grown

WINDOW = 16
"""Records a trend is fitted to."""

MIN_POINTS = 6
"""Fewer known values are no trend."""

MIN_DEVIATIONS = 3.0
"""How unlikely the share of rising pairs must be without a trend, in standard deviations of Kendall's test."""

MIN_PERSISTENCE = 0.5
"""The later half's slope must be at least this share of the earlier half's: what flattens out is no danger."""

HORIZON = 4.0
"""How far ahead a trend is trusted, as a multiple of the steps it was seen over."""


@dataclass(frozen=True)
class Forecast:
    """When a rising value meets its limit.

    Attributes:
      start: the step of the last record.
      slope: median rise per step (Theil-Sen); over the later half where that is steeper.
      steps: steps from the last record until the limit is met.
      low, high: the same for the upper and the lower quartile of the slopes.
    """

    start: int
    slope: float
    steps: float
    low: float
    high: float

    def text(self, event: str) -> str:
        """The forecast in words: "overflows in about 14 steps (8-25) from step 222"."""
        low, high = f"{self.low:.0f}", f"{self.high:.0f}"
        between = f" ({low}-{high})" if low != high else ""
        return f"{event} in about {self.steps:.0f} steps{between} from step {self.start}"


def forecast(steps: Floats, values: Floats, limit: float, horizon: float = HORIZON) -> Forecast | None:
    """A forecast, or None when the values show no trend that meets the limit within the horizon.

    Args:
      steps: float64 [n], ascending.
      values: float64 [n].
      limit: above every value.
      horizon: see HORIZON.
    """
    if len(steps) < MIN_POINTS:
        return None
    half = len(steps) // 2
    slopes, recent = _slopes(steps, values), _slopes(steps[half:], values[half:])
    if np.mean(slopes > 0) < _agreement(len(steps)):
        return None
    if np.median(recent) < MIN_PERSISTENCE * np.median(_slopes(steps[:half], values[:half])):
        return None
    pace = recent if np.median(recent) > np.median(slopes) else slopes  # what speeds up goes on at its latest pace
    slope, slow, fast = float(np.median(pace)), float(np.quantile(slopes, 0.25)), float(np.quantile(pace, 0.75))
    level = float(np.median((values - slope * (steps - steps[-1]))[half:]))
    if slow <= 0 or (limit - level) / slow > horizon * (steps[-1] - steps[0]):
        return None
    ahead = max(limit - level, 0.0)
    return Forecast(int(steps[-1]), slope, ahead / slope, ahead / fast, ahead / slow)


def _agreement(count: int) -> float:
    """Least share of pairs of ``count`` records that must rise; half of them do without a trend."""
    deviation = 0.5 * np.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
    return float(min(0.5 + MIN_DEVIATIONS * deviation, 1.0))


def _slopes(steps: Floats, values: Floats) -> Floats:
    """Slopes of all pairs of records."""
    first, second = np.triu_indices(len(steps), 1)
    return np.asarray((values[second] - values[first]) / (steps[second] - steps[first]), np.float64)


@dataclass
class History:
    """One quantity of some slots over the last records; new slots come in at the end."""

    steps: list[int] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)  # each float64 [n at that time]

    def push(self, step: int, values: Floats) -> None:
        """Takes in one record's values."""
        self.steps.append(step)
        self.values.append(values)
        del self.steps[:-WINDOW], self.values[:-WINDOW]

    def rise(self) -> Floats:
        """How much each value rose over the records kept, float64 [n]; NaN where unknown."""
        last = self.values[-1]
        first = np.full(len(last), np.nan)
        for values in self.values:
            first = np.where(np.isnan(first), grown(values, len(last)), first)
        return np.asarray(last - first, np.float64)

    def series(self, index: int) -> tuple[Floats, Floats]:
        """Steps and known values of one slot, float64 [m] each."""
        values = np.array([v[index] if index < len(v) else np.nan for v in self.values])
        known = ~np.isnan(values)
        return np.asarray(self.steps, np.float64)[known], values[known]
