"""Where a condition can be true: regions of one field, and boxes of fields.

Rule 1: a region never claims too little. Where it cannot tell, it says *may*: emptiness is proved, never guessed.
Rule 2: fields are independent, so a conjunction is empty exactly where some field's region is, and two rules overlap
only where every field's regions do.
Rule 3: a condition of more than BOXES_MAX alternatives is not analysed; its rule counts as able to do anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from wardwright.contracts.policy import Value

BOXES_MAX: Final = 64
"""Alternatives of one condition."""

_LISTED_MAX: Final = 64
"""Integers that an interval is counted out to."""


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one field."""

    present: bool | None = None
    """Whether the field is known; None: either."""
    values: frozenset[Value] | None = None
    """It is one of these; None: anything."""
    without: frozenset[Value] = frozenset()
    """It is none of these."""
    low: int | None = None
    high: int | None = None
    tests: tuple[Callable[[Value], bool], ...] = ()
    """Predicates that it passes."""
    opaque: bool = False
    """It is smaller than it says: what lies outside cannot be told, and it covers nothing."""

    @property
    def empty(self) -> bool:
        """Whether no value lies in it: proved."""
        if self.present is not True:
            return False
        if self.low is not None and self.high is not None and self.low > self.high:
            return True
        known = self.values
        if known is None and self.low is not None and self.high is not None and self.high - self.low < _LISTED_MAX:
            known = frozenset(range(self.low, self.high + 1))
        return known is not None and not any(self.holds(value) for value in known)

    def holds(self, value: Value) -> bool:
        """Whether a known value lies in it."""
        if self.present is False or value in self.without:
            return False
        if self.values is not None and value not in self.values:
            return False
        if isinstance(value, int) and not isinstance(value, bool):
            if self.low is not None and value < self.low:
                return False
            if self.high is not None and value > self.high:
                return False
        return all(test(value) for test in self.tests)

    def covers(self, other: Region) -> bool:
        """Whether all of the other lies in it: proved."""
        if self.opaque:
            return False
        if self in (other, ANY):
            return True
        if self.present is not None and self.present != other.present:
            return False
        if self.present is False:
            return True
        if other.values is not None:
            return all(self.holds(value) for value in other.values if other.holds(value))
        if self.values is not None or self.tests:
            return False
        if not self.without <= other.without:
            return False
        low_fits = self.low is None or (other.low is not None and other.low >= self.low)
        high_fits = self.high is None or (other.high is not None and other.high <= self.high)
        return low_fits and high_fits


ANY: Final = Region()

Box: TypeAlias = Mapping[str, Region]
"""By field; a field that is not named may hold anything."""


def both(left: Region, right: Region) -> Region | None:
    """What lies in both; None where nothing does."""
    if left.present is not None and right.present is not None and left.present != right.present:
        return None
    values = left.values
    if right.values is not None:
        values = right.values if values is None else values & right.values
    lows = [low for low in (left.low, right.low) if low is not None]
    highs = [high for high in (left.high, right.high) if high is not None]
    joined = Region(
        present=right.present if left.present is None else left.present,
        values=values,
        without=left.without | right.without,
        low=max(lows, default=None),
        high=min(highs, default=None),
        tests=left.tests + right.tests,
        opaque=left.opaque or right.opaque,
    )
    return None if joined.empty else joined


def meet(left: Box, right: Box) -> Box | None:
    """Where both boxes hold; None where that is nowhere."""
    joined = dict(left)
    for field, region in right.items():
        shared = both(joined.get(field, ANY), region)
        if shared is None:
            return None
        joined[field] = shared
    return joined


def product(left: list[Box], right: list[Box]) -> list[Box] | None:
    """Where some box of each holds; None past BOXES_MAX."""
    if len(left) * len(right) > BOXES_MAX * 4:
        return None
    met = [box for one in left for other in right if (box := meet(one, other)) is not None]
    return None if len(met) > BOXES_MAX else met


def box_covers(outer: Box, inner: Box) -> bool:
    """Whether the outer box holds wherever the inner does: proved."""
    return all(region.covers(inner.get(field, ANY)) for field, region in outer.items())


def complement(region: Region) -> list[Region]:
    """Regions that hold every value outside one: absence first. Overlap is allowed, too much is too."""
    if region.present is False:
        return [Region(present=True)]
    if region.present is None or region.opaque:
        return [Region(opaque=True)]
    absent = Region(present=False)
    if region.tests:
        tests = region.tests
        return [absent, Region(present=True, tests=(lambda value: not all(test(value) for test in tests),))]
    if region.values is not None:
        return [absent, Region(present=True, without=region.values)]
    out = [absent]
    if region.low is not None:
        out.append(Region(present=True, high=region.low - 1))
    if region.high is not None:
        out.append(Region(present=True, low=region.high + 1))
    return out
