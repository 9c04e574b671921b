"""The few statistics the rig reports.

Rule 1: pure. A figure is the median of its rounds and carries the lowest and the highest, so a reader sees the noise.
Rule 2: percentiles are observed values (nearest rank), never interpolated ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """One figure over several rounds."""

    median: float
    low: float
    high: float
    rounds: int


def spread_of(values: Sequence[float]) -> Spread:
    """The spread of at least one value; the median of an even number is the mean of the middle two.

    >>> spread_of([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0, rounds=3)
    """
    if not values:
        raise ValueError("no round was measured")
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Spread(median=median, low=ordered[0], high=ordered[-1], rounds=len(ordered))


def percentile(values: Sequence[int], share: float) -> int:
    """The nearest-rank percentile of at least one value: the smallest that `share` of all do not exceed.

    >>> percentile([40, 10, 30, 20], 0.5)
    20
    """
    if not values:
        raise ValueError("no value was recorded")
    if not 0 < share <= 1:
        raise ValueError("a share is above 0 and at most 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]
