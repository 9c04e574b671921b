"""Learning velocity: how fast the error of predictions falls while more of them are scored.

The mean squared error of windows of equal size is fitted by a straight line over the number of predictions; velocity is
its downward slope for a thousand more. The interval is Student's for a least-squares slope (Draper and Smith, Applied
Regression Analysis, 1.4), so it needs no luck. It takes windows for independent, which windows that share no prediction
nearly are; where load swings over many windows it is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.limits.beta import student
from wardwright.limits.prediction import COVERAGE_PPM, PPM

WINDOWS_MIN: Final = 8
"""Fewer windows are no trend."""

Trend: TypeAlias = Literal["improving", "worsening", "cannot_tell"]

_TAILS: Final = (PPM - COVERAGE_PPM) / PPM
"""Outside the interval, both tails."""


class Velocity(msgspec.Struct, frozen=True, kw_only=True):
    """By how many ppm the Brier score falls for a thousand predictions."""

    fall_ppm: int
    """Below 0: it rises."""
    high_ppm: int
    """The true slope lies between these with nine tenths' confidence."""
    low_ppm: int
    trend: Trend
    """`cannot_tell` where the interval holds 0."""
    windows: int


def velocity(errors_ppm: Sequence[int], window: int) -> Velocity | None:
    """The velocity over the mean errors of windows that each hold `window` predictions, the oldest first; None below
    WINDOWS_MIN.

    >>> velocity([240_000 - 1000 * n for n in range(8)], 50)    # 1,000 a window is 20,000 for a thousand predictions
    Velocity(fall_ppm=20000, high_ppm=20000, low_ppm=20000, trend='improving', windows=8)
    """
    count = len(errors_ppm)
    if count < WINDOWS_MIN:
        return None
    middle = (count - 1) / 2
    mean = sum(errors_ppm) / count
    spread = sum((place - middle) ** 2 for place in range(count))
    slope = sum((place - middle) * (error - mean) for place, error in enumerate(errors_ppm)) / spread
    rest = sum((error - mean - slope * (place - middle)) ** 2 for place, error in enumerate(errors_ppm))
    half = student(_TAILS, count - 2) * sqrt(rest / (count - 2) / spread)
    scale = -1000 / window
    low, high = round((slope + half) * scale), round((slope - half) * scale)
    trend: Trend = "improving" if low > 0 else "worsening" if high < 0 else "cannot_tell"
    return Velocity(fall_ppm=round(slope * scale), high_ppm=high, low_ppm=low, trend=trend, windows=count)
