"""Latencies as weights of buckets that widen with the latency: quantiles of any distribution, within an eighth.

Every power of two is cut into eight equal buckets, as an HDR histogram does (Gil Tene, HdrHistogram): a latency is a
bucket by shifts alone, and adding is commutative. A quantile is told as the upper edge of its bucket: never less than
what was observed, and at most an eighth more.

Rule 1: a try that was cut off after waiting is in the bucket CUT, above all others: nobody knows how long it would have
taken. A quantile that falls there is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

LATENCY_US_MAX: Final = 2**36 - 1
"""Longer latencies, past nineteen hours, count as this."""

CUT: Final = 512
"""The bucket of tries that were cut off."""

_PPM: Final = 1_000_000


def bucket_of(latency_us: int) -> int:
    """The bucket of a latency.

    >>> [bucket_of(us) for us in (0, 7, 8, 15, 16, 17, 18)]
    [0, 7, 8, 15, 16, 16, 17]
    """
    if latency_us < 8:
        return max(latency_us, 0)
    bits = min(latency_us, LATENCY_US_MAX).bit_length()
    return (bits - 3) << 3 | min(latency_us, LATENCY_US_MAX) >> (bits - 4) & 7


def upper_us(bucket: int) -> int:
    """The longest latency of a bucket.

    >>> upper_us(bucket_of(1_000_000))
    1048575
    """
    if bucket < 8:
        return bucket
    return ((9 + (bucket & 7)) << ((bucket >> 3) - 1)) - 1


def quantile_us(buckets: Sequence[tuple[int, int]], share_ppm: int) -> int | None:
    """The latency that this share of the weight does not exceed; None where that share was cut off.

    `buckets` are sorted and hold some weight.
    """
    wanted = sum(weight for _, weight in buckets) * share_ppm
    below = 0
    for bucket, weight in buckets:
        below += weight
        if below * _PPM >= wanted:
            return None if bucket == CUT else upper_us(bucket)
    raise AssertionError("a share is at most the whole")


def ranks_ppm(share_ppm: int, count: float, z: float) -> tuple[int, int | None]:
    """Between which shares of `count` observations the true quantile lies, `z` standard deviations either way; None
    where it may lie above them all.

    How many of the observations lie below a quantile is binomial, whatever their distribution (David and Nagaraja,
    Order Statistics, 7.1); told by its normal approximation.
    """
    spread = round(z * sqrt(share_ppm * (_PPM - share_ppm) / max(count, 1.0)))
    high = share_ppm + spread
    return max(share_ppm - spread, 0), high if high < _PPM else None
