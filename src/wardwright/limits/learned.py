"""What one key learned: sums of weights by half-life, as they are added to, stored, and read at an instant.

Sums are integers. `Learned.within` finds those that count at an instant; the functions below read levels of such, from
the tenant's to the most particular one, as numbers to be divided by `decay.unit`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from wardwright.limits.decay import HALF_LIVES, Instant
from wardwright.limits.observed import Key
from wardwright.limits.prediction import EVIDENCE_MIN, Latency, Z
from wardwright.limits.sketch import quantile_us, ranks_ppm

_P99_PPM: Final = 990_000


class Sums:
    """What the observations of one half-life add up to, weighed."""

    __slots__ = ("good", "latencies", "priced", "spent", "timed", "tries")

    def __init__(self) -> None:
        self.tries = 0
        self.good = 0
        self.priced = 0
        """Of tries whose cost is known."""
        self.spent = 0
        """nano-USD."""
        self.timed = 0
        """The sum of `latencies`."""
        self.latencies: dict[int, int] = {}
        """By bucket of `limits.sketch`."""


class Learned:
    """One key."""

    __slots__ = ("_past", "above", "half_life", "key", "step", "sums")

    def __init__(self, key: Key, above: Learned | None) -> None:
        self.key = key
        self.above = above
        self.step = -1
        """Of the newest observation."""
        self.half_life = -1
        """Of the newest observation."""
        self.sums = Sums()
        """Of that half-life."""
        self._past: dict[int, Sums] = {}
        """Of those before it."""

    def advance(self, half_life: int) -> None:
        """Begin a half-life, and let go of those too far behind it."""
        if self.half_life >= 0:
            self._past[self.half_life] = self.sums
            for number in [number for number in self._past if number <= half_life - HALF_LIVES]:
                del self._past[number]
        self.half_life, self.sums = half_life, Sums()

    def older(self, half_life: int) -> Sums | None:
        """The sums of a half-life before the newest, or None where it is too far behind."""
        if half_life <= self.half_life - HALF_LIVES:
            return None
        sums = self._past.get(half_life)
        if sums is None:
            sums = self._past[half_life] = Sums()
        return sums

    def all(self) -> list[tuple[int, Sums]]:
        """Each half-life with its sums, the oldest first."""
        if not self._past:
            return [(self.half_life, self.sums)]
        return [*sorted(self._past.items()), (self.half_life, self.sums)]

    def within(self, at: Instant) -> list[Shifted]:
        """The sums that count at an instant, each with the binary digits by which it outweighs the oldest."""
        first = at.half_life - HALF_LIVES + 1
        found = [(number - first, sums) for number, sums in self._past.items() if first <= number <= at.half_life]
        if first <= self.half_life <= at.half_life:
            found.append((self.half_life - first, self.sums))
        return found

    def row(self) -> LearnedRow:
        return LearnedRow(
            self.step,
            tuple(
                SumsRow(number, sums.tries, sums.good, sums.priced, str(sums.spent), _sorted(sums.latencies))
                for number, sums in self.all()
            ),
        )

    def restore(self, row: LearnedRow) -> None:
        self.step = row.step
        for one in row.sums:
            self.advance(one.half_life)
            sums = self.sums
            sums.tries, sums.good, sums.priced, sums.spent = one.tries, one.good, one.priced, int(one.spent)
            sums.latencies = dict(one.latencies)
            sums.timed = sum(sums.latencies.values())


Shifted: TypeAlias = tuple[int, Sums]
"""The sums of a half-life, and the binary digits by which it outweighs the oldest that is kept."""


class SumsRow(msgspec.Struct, frozen=True, array_like=True):
    """The sums of one half-life, for a store."""

    half_life: int
    tries: int
    good: int
    priced: int
    spent: str
    """A decimal string: it may pass what JSON readers keep exactly."""
    latencies: tuple[tuple[int, int], ...]


class LearnedRow(msgspec.Struct, frozen=True, array_like=True):
    """What one key learned, for a store."""

    step: int
    sums: tuple[SumsRow, ...]
    """The oldest half-life first."""


def counted(level: list[Shifted]) -> tuple[int, int]:
    """Tries and successes, to be divided by the unit of the instant."""
    tries = good = 0
    for shift, sums in level:
        tries += sums.tries << shift
        good += sums.good << shift
    return tries, good


def cost_of(levels: list[list[Shifted]], one: int) -> int | None:
    """The mean of the most particular level that knows enough costs, or any."""
    some: int | None = None
    for level in reversed(levels):
        priced = sum(sums.priced << shift for shift, sums in level)
        if priced and (some is None or priced >= EVIDENCE_MIN * one):
            spent = sum(sums.spent << shift for shift, sums in level)
            some = (2 * spent + priced) // (2 * priced)
            if priced >= EVIDENCE_MIN * one:
                break
    return some


def latency_of(levels: list[list[Shifted]], one: int) -> Latency | None:
    """The quantiles of the most particular level that knows enough times, or any."""
    chosen: list[Shifted] = []
    timed = 0
    for level in reversed(levels):
        here = sum(sums.timed << shift for shift, sums in level)
        if here and (timed == 0 or here >= EVIDENCE_MIN * one):
            chosen, timed = level, here
            if here >= EVIDENCE_MIN * one:
                break
    if timed == 0:
        return None
    found: dict[int, int] = {}
    for shift, sums in chosen:
        for bucket, weight in sums.latencies.items():
            found[bucket] = found.get(bucket, 0) + (weight << shift)
    buckets = sorted(found.items())
    low, high = ranks_ppm(_P99_PPM, timed / one, Z)
    return Latency(
        evidence_milli=timed * 1000 // one,
        p50_us=quantile_us(buckets, 500_000),
        p90_us=quantile_us(buckets, 900_000),
        p99_high_us=None if high is None else quantile_us(buckets, high),
        p99_low_us=quantile_us(buckets, low),
        p99_us=quantile_us(buckets, _P99_PPM),
    )


def _sorted(weights: dict[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(weights.items()))
