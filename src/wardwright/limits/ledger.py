"""The claimants of one tenant in one budget: who is there, who may come, what found no room.

Rule 1: at most `claimants_max` are kept. Those without usage are dropped when room is needed, all at once, so what is
kept follows from what was counted and not from when somebody looked.
Rule 2: usage that finds no room is remembered as an instant: who comes anew until then may have used more than is kept.
"""

from __future__ import annotations

from wardwright.kernel.units import SECOND_US
from wardwright.limits.series import Series
from wardwright.limits.windows import Slice, Window, slice_at


class Ledger:
    """The claimants of one tenant in one budget."""

    __slots__ = ("_claimants_max", "_slice", "_window", "full_until_us", "kept", "missed_until_us", "series")

    def __init__(self, window: Window, claimants_max: int) -> None:
        self._window = window
        self._claimants_max = claimants_max
        self._slice = Slice(0, 0, 0, 0)
        """The last one asked for: most calls end in it too."""
        self.series: dict[str, Series] = {}
        self.full_until_us = 0
        """Nobody will be idle before; searching earlier is in vain."""
        self.missed_until_us = 0
        """Until then usage is missing that found no room."""
        self.kept = True
        """It stands among the ledgers."""

    def find(self, claim: str, now: int) -> Series | None:
        """The claimant's series, as of now."""
        series = self.series.get(claim)
        if series is not None:
            series.advance(now)
            if now < self.missed_until_us and series.idle:
                self._drop(claim)
                return None
        return series

    def crowded(self, series: Series | None, now: int) -> bool:
        """Whether what this claimant used cannot be told."""
        if series is None:
            return now < self.missed_until_us or not self._has_room(now)
        return now < series.whole_from_us

    def place(self, claim: str, now: int) -> Series | None:
        """The claimant's series, made where there is room."""
        series = self.find(claim, now)
        if series is None and self._has_room(now):
            series = self.series[claim] = Series(self._window, self.missed_until_us)
        return series

    def count(self, claim: str, at_us: int, amount: int, now: int, series: Series | None = None) -> int | None:
        """Count what was used at an instant; what was used within the window then, or None where there is no room.

        `series` is the claimant's as of now, where the caller has it at hand; it may have been dropped since.
        """
        when = self._slice
        if not when.from_us <= at_us < when.until_us:
            when = self._slice = slice_at(self._window, at_us)
        if series is None or not series.kept or now < self.missed_until_us:
            series = self.place(claim, now)
        if series is None:
            if amount and when.leaves_us > self.missed_until_us:
                self.missed_until_us = when.leaves_us
            return None
        if when.leaves_us > now:
            series.add(when.number, when.leaves_us, amount)
        return series.used

    def unreserve(self, series: Series, lapse_s: int, amount: int, now: int) -> None:
        """Take back what a call had reserved in a series, where it has not lapsed."""
        if series.kept:
            series.advance(now)
            if lapse_s * SECOND_US > now:
                series.unreserve(lapse_s, amount)
                if now < self.full_until_us:
                    self.full_until_us = min(self.full_until_us, series.idle_us)

    def drop_idle(self, now: int) -> None:
        for claim, series in list(self.series.items()):
            series.advance(now)
            if series.idle:
                self._drop(claim)

    def _drop(self, claim: str) -> None:
        self.series.pop(claim).kept = False

    def _has_room(self, now: int) -> bool:
        if len(self.series) < self._claimants_max:
            return True
        if now < self.full_until_us:
            return False
        self.drop_idle(now)
        if len(self.series) < self._claimants_max:
            return True
        self.full_until_us = min(series.idle_us for series in self.series.values())
        return False
