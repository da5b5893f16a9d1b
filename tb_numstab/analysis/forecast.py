"""What comes next: robust trends over the last records, extrapolated to a limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tb_numstab.analysis.columns import Floats
from tb_numstab.analysis.graph import Mask, Slots
from tb_numstab.analysis.headroom import grown

WINDOW = 16
"""Records a trend is fitted to."""

MIN_POINTS = 6
"""Fewer known values are no trend."""

MIN_DEVIATIONS = 3.0
"""How unlikely the share of rising pairs must be without a trend, in standard deviations of Kendall's test."""

MIN_PERSISTENCE = 0.5
"""The later half's slope must be at least this share of the earlier half's: what flattens out is no danger."""

STEADY = 0.75
"""The same share for a straight line. What decays by a constant factor, and so never reaches 0, keeps at most 0.71
while it loses half its value: the root of 1/2."""

MAX_SPREAD = 2.0
"""How many times the lower quartile of its slopes the slope of a straight line is at most."""

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


def forecast(
    steps: Floats, values: Floats, limit: float, horizon: float = HORIZON, steady: bool = False
) -> Forecast | None:
    """A forecast, or None when the values show no trend that meets the limit within the horizon.

    Args:
      steps: float64 [n], ascending.
      values: float64 [n].
      limit: above every value.
      horizon: see HORIZON.
      steady: whether only a straight line counts: see STEADY and MAX_SPREAD.
    """
    if not _mostly_rising(steps, values[:, None])[0]:
        return None
    half, persistence = len(steps) // 2, STEADY if steady else MIN_PERSISTENCE
    slopes, recent = _slopes(steps, values), _slopes(steps[half:], values[half:])
    if np.median(recent) < persistence * np.median(_slopes(steps[:half], values[:half])):
        return None
    latest = max(len(steps) // 4, 3)
    if steady and np.median(_slopes(steps[-latest:], values[-latest:])) < MIN_PERSISTENCE * np.median(slopes):
        return None
    pace = recent if np.median(recent) > np.median(slopes) else slopes  # what speeds up goes on at its latest pace
    slope, slow, fast = float(np.median(pace)), float(np.quantile(slopes, 0.25)), float(np.quantile(pace, 0.75))
    level = float(np.median((values - slope * (steps - steps[-1]))[half:]))
    if steady and slope > MAX_SPREAD * slow:
        return None
    if level >= limit > values[-1]:  # no line: it has passed the limit, and the values have not
        return None
    if slow <= 0 or (limit - level) / slow > horizon * (steps[-1] - steps[0]):
        return None
    ahead = max(limit - level, 0.0)
    return Forecast(int(steps[-1]), slope, ahead / slope, ahead / fast, ahead / slow)


def _mostly_rising(steps: Floats, values: Floats) -> Mask:
    """Which quantities rise in more pairs of records than they would without a trend.

    Args:
      steps: float64 [k].
      values: float64 [k, n], NaN where unknown.
    """
    known = np.count_nonzero(~np.isnan(values), axis=0)
    pairs = known * (known - 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.count_nonzero(_slopes(steps, values) > 0, axis=0) / pairs
        deviation = 0.5 * np.sqrt(2 * (2 * known + 5) / (9 * known * (known - 1)))  # half of them rise by chance
    return np.asarray((known >= MIN_POINTS) & (rising >= np.fmin(0.5 + MIN_DEVIATIONS * deviation, 1)))


def _slopes(steps: Floats, values: Floats) -> Floats:
    """Slopes of all pairs of records, float64 [pairs, ...] for ``values``, float64 [k, ...]."""
    first, second = _pairs(len(steps))
    return np.asarray(((values[second] - values[first]).T / (steps[second] - steps[first])).T, np.float64)


@cache
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(count, 1)
    return first, second


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

    def rises(self, slots: Slots, change: float) -> Mask:
        """Bool [n]: which of ``slots``, int64 [n], have risen by ``change`` over the records kept, and mostly rose."""
        values = np.array([grown(v, len(self.values[-1]))[slots] for v in self.values])
        first = values[np.argmax(~np.isnan(values), axis=0), np.arange(len(slots))]
        rose = values[-1] - first >= change
        rose[rose] = _mostly_rising(np.asarray(self.steps, np.float64), values[:, rose])
        return np.asarray(rose)

    def series(self, index: int) -> tuple[Floats, Floats]:
        """Steps and known values of one slot, float64 [m] each."""
        values = np.array([v[index] if index < len(v) else np.nan for v in self.values])
        known = ~np.isnan(values)
        return np.asarray(self.steps, np.float64)[known], values[known]
