"""One wheel for every wait: a deadline costs an attribute, not a timer.

A `Deadline` is armed once and then moved to later instants by assigning `at`; the wheel looks again when the earlier
instant comes (lazily), so touching a deadline on every chunk is free. One that moves to an earlier instant is armed
again, else the wheel looks too late. Whoever owns the event loop calls `advance` every `TICK_S`; a deadline fires at
most one tick late and never early.
"""

from __future__ import annotations

import math
import sys
from typing import Final

TICK_S: Final = 0.05

LOOK_S: Final = 5.0
"""A watched deadline is looked at this often at least, so that what is disarmed is let go of soon."""

NEVER: Final = math.inf

_UNWATCHED: Final = sys.maxsize


class Deadline:
    """An instant at which something gives up. Subclass it and say what in `expired`."""

    __slots__ = ("_slot", "at", "looked_at")

    def __init__(self) -> None:
        self.at = NEVER
        """Monotonic seconds; NEVER disarms."""
        self._slot = _UNWATCHED
        """Where the wheel looks next; an entry in any other bucket is stale."""
        self.looked_at = NEVER
        """The instant at which it does: a deadline that is later need not be armed again."""

    def expired(self, now: float) -> None:
        """Called once when `at` has passed; `at` is NEVER by then."""
        raise AssertionError(f"{type(self).__name__} does not say what happens when it expires")


class Wheel:
    """Deadlines in buckets one tick wide."""

    def __init__(self, now: float) -> None:
        self.now = now
        """The instant of the last `advance`, in monotonic seconds: a clock that costs nothing to read."""
        self._slot = self._slot_of(now)
        self._buckets: dict[int, list[Deadline]] = {}

    def __len__(self) -> int:
        """Entries, stale ones counted."""
        return sum(len(bucket) for bucket in self._buckets.values())

    def arm(self, deadline: Deadline) -> None:
        """Watch a deadline whose `at` is set. Where the wheel looks early enough already, nothing happens."""
        if deadline.at < deadline.looked_at:
            self._put(deadline)

    def advance(self, now: float) -> None:
        """Fire what is due. Time never runs backwards here."""
        if now <= self.now:
            return
        self.now = now
        last = int(now / TICK_S)
        for slot in range(self._slot, last) if last - self._slot < len(self._buckets) else sorted(self._buckets):
            if slot >= last:
                break
            for deadline in self._buckets.pop(slot, ()):
                if deadline._slot == slot:
                    self._look(deadline, now)
        self._slot = max(self._slot, last)

    def _look(self, deadline: Deadline, now: float) -> None:
        deadline._slot = _UNWATCHED
        deadline.looked_at = NEVER
        if deadline.at <= now:
            deadline.at = NEVER
            deadline.expired(now)
        elif deadline.at != NEVER:
            self._put(deadline)

    def _put(self, deadline: Deadline) -> None:
        slot = deadline._slot = max(self._slot_of(min(deadline.at, self.now + LOOK_S)), self._slot)
        deadline.looked_at = slot * TICK_S
        self._buckets.setdefault(slot, []).append(deadline)

    @staticmethod
    def _slot_of(at: float) -> int:
        return int(at / TICK_S)
