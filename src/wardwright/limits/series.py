"""What one claimant used of one budget, slice by slice, and what calls in flight have reserved.

Rule 1: `used` is what the slices hold, `reserved` what the lapses hold; both are kept as sums, so that asking is two
comparisons and an addition.
Rule 2: `advance` comes before every look: it lets go of slices that left the window and of reservations that nobody
settled. Time never runs backwards here; `limits.budgets` sees to it.
"""

from __future__ import annotations

import sys
from typing import Final

from wardwright.kernel.units import SECOND_US
from wardwright.limits.windows import Window, leaves_us

NEVER_US: Final = sys.maxsize


class Series:
    """One claimant's usage within one window."""

    __slots__ = ("_due_us", "_lapses", "_leaves_us", "_slices", "_window", "kept", "reserved", "used", "whole_from_us")

    def __init__(self, window: Window, whole_from_us: int = 0) -> None:
        self._window = window
        self._slices: dict[int, int] = {}
        """Amounts by slice."""
        self._leaves_us = NEVER_US
        """When the first slice leaves."""
        self._lapses: dict[int, int] = {}
        """Reserved amounts by the second in which they lapse: at most one entry for each second of a reservation's
        longest life."""
        self._due_us = NEVER_US
        """Not after the first lapse."""
        self.used = 0
        """By calls that ended, within the window."""
        self.reserved = 0
        """By calls in flight."""
        self.whole_from_us = whole_from_us
        """From then on `used` is all that was used; before, some of it may have found no room."""
        self.kept = True
        """It stands in its ledger. One that was dropped as idle is not written to again."""

    def advance(self, now_us: int) -> None:
        """Let go of what has left the window or lapsed."""
        if now_us >= self._leaves_us:
            self._forget(now_us)
        if now_us >= self._due_us:
            self._lapse(now_us)

    @property
    def idle(self) -> bool:
        """Nothing is in it: dropping it forgets nothing."""
        return not (self._slices or self._lapses)

    @property
    def idle_us(self) -> int:
        """When it will be idle if nothing else happens."""
        leaves = max((leaves_us(self._window, index) for index in self._slices), default=0)
        return max(leaves, max(self._lapses, default=0) * SECOND_US)

    # What ended

    def add(self, index: int, leaves: int, amount: int) -> None:
        """Count an amount in a slice that is still in the window."""
        if amount:
            self._slices[index] = self._slices.get(index, 0) + amount
            self.used += amount
            if leaves < self._leaves_us:
                self._leaves_us = leaves

    def slices(self) -> tuple[tuple[int, int], ...]:
        """Index and amount of each slice, the oldest first."""
        return tuple(sorted(self._slices.items()))

    # What is in flight

    def reserve(self, lapse_s: int, amount: int) -> None:
        if amount:
            self._lapses[lapse_s] = self._lapses.get(lapse_s, 0) + amount
            self.reserved += amount
            if lapse_s * SECOND_US < self._due_us:
                self._due_us = lapse_s * SECOND_US

    def unreserve(self, lapse_s: int, amount: int) -> None:
        """Take back what was reserved and has not lapsed."""
        if amount:
            rest = self._lapses[lapse_s] - amount
            if rest:
                self._lapses[lapse_s] = rest
            else:
                del self._lapses[lapse_s]
            self.reserved -= amount

    def ends(self) -> list[tuple[int, int]]:
        """When what it holds will be gone, if nothing else happens: instants and amounts."""
        ends = [(leaves_us(self._window, index), held) for index, held in self._slices.items()]
        ends += [(lapse_s * SECOND_US, held) for lapse_s, held in self._lapses.items()]
        return ends

    def _forget(self, now_us: int) -> None:
        self._leaves_us = NEVER_US
        for index in list(self._slices):
            leaves = leaves_us(self._window, index)
            if leaves <= now_us:
                self.used -= self._slices.pop(index)
            elif leaves < self._leaves_us:
                self._leaves_us = leaves

    def _lapse(self, now_us: int) -> None:
        now_s = now_us // SECOND_US
        for second in [second for second in self._lapses if second <= now_s]:
            self.reserved -= self._lapses.pop(second)
        self._due_us = min(self._lapses, default=NEVER_US) * SECOND_US
