"""What is expected of a try: the posterior over its levels, told in integers so that it can be logged before the try.

Rule 1: every level is a Beta distribution. A level's prior is the level above it, learned from everybody but the level
itself (so nothing is counted twice), and lent with at most PRIOR_STRENGTH observations' weight, and never more than is
known up there. Above the tenant lies the uniform distribution.
Rule 2: the point is the posterior's mean. The interval is its central COVERAGE_PPM, of parameters not below FLOOR: no
success is certain because all others succeeded. It is widened to the point where a skewed posterior leaves it outside.
Rule 3: a prediction abstains where no level below the tenant has EVIDENCE_MIN observations. Its numbers are the
posterior all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from wardwright.limits.beta import quantile
from wardwright.limits.observed import Level

PRIOR_STRENGTH: Final = 8
"""How many observations a level borrows from the one above."""

EVIDENCE_MIN: Final = 8
"""Decayed observations from which a level is spoken of."""

COVERAGE_PPM: Final = 900_000
"""How much of the posterior lies in the interval."""

Z: Final = 1.6448536269514722
"""Standard deviations either way that hold as much of a normal distribution."""

FLOOR: Final = 0.5
"""Of the interval's parameters: those of Jeffreys' prior."""

STRENGTH_MAX: Final = 100_000
"""More observations than these make no interval narrower."""

PPM: Final = 1_000_000


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of the time that success takes, in µs; None: as many tries were cut off before."""

    evidence_milli: int
    """Thousandths of decayed tries whose time is known, those that were cut off among them."""
    p50_us: int | None
    p90_us: int | None
    p99_high_us: int | None
    """Above it the true p99 does not lie, with the interval's confidence. None too where there are too few tries for
    any bound: some 270 are needed."""
    p99_low_us: int | None
    p99_us: int | None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of one try. Members in alphabetical order: it is put into receipts."""

    abstained: bool
    """Too little is known of it: act as if there were no prediction."""
    cost_nano_usd: int | None
    """Decayed mean; None: no cost is known."""
    evidence_milli: int
    """Thousandths of decayed observations at `level`; of an abstained one, at the most general level below the
    tenant."""
    high_ppm: int
    latency: Latency | None
    """None: no time is known."""
    level: Level
    """The most particular one with EVIDENCE_MIN observations; `tenant` of one that abstained."""
    low_ppm: int
    success_ppm: int
    """How likely success is, in parts per million."""


def posterior(counts: Sequence[tuple[float, float]], depth: int, strength: int = PRIOR_STRENGTH) -> tuple[float, float]:
    """Both parameters at the most particular level of a key.

    `counts` are the tries and successes of its levels, the tenant's first, each holding those below it; fewer than
    `depth` where the rest of the key was never seen.

    >>> posterior([], 3)
    (1.0, 1.0)
    >>> posterior([(30.0, 25.0), (10.0, 5.0)], 2)    # 20 others, all successes, lend 8 at 21/22
    (12.636363636363637, 5.363636363636363)
    """
    a = b = 1.0
    for level in range(depth):
        if level:
            share = min(1.0, strength / (a + b))
            a, b = a * share, b * share
        if level < len(counts):
            tries, good = counts[level]
            if level + 1 < len(counts):
                tries, good = tries - counts[level + 1][0], good - counts[level + 1][1]
            a, b = a + max(good, 0.0), b + max(tries - good, 0.0)
    return a, b


def told_ppm(a: float, b: float) -> tuple[int, int, int]:
    """Mean, lower and upper bound of Beta(a, b), as Rule 2 has it."""
    point = round(PPM * a / (a + b))
    a, b = max(a, FLOOR), max(b, FLOOR)
    if a + b > STRENGTH_MAX:
        share = STRENGTH_MAX / (a + b)
        a, b = max(a * share, FLOOR), max(b * share, FLOOR)
    tail = (PPM - COVERAGE_PPM) / (2 * PPM)
    low, high = round(PPM * quantile(tail, a, b)), round(PPM * quantile(1.0 - tail, a, b))
    return point, min(low, point), max(high, point)
