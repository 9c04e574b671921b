"""One wheel for every wait: a deadline costs an attribute, not a timer.

A `Deadline` is armed once and then only moved by assigning `at`; the wheel looks again when the earlier instant comes
(lazily), so touching a deadline on every chunk is free. Whoever owns the event loop calls `advance` every
`TICK_S`; a deadline fires at most one tick late and never early.
"""

from __future__ import annotations

import math
from typing import Final

TICK_S: Final = 0.05
NEVER: Final = math.inf


class Deadline:
    """An instant at which something gives up. Subclass it and say what in `expired`."""

    __slots__ = ("_armed", "at")

    def __init__(self) -> None:
        self.at = NEVER
        """Monotonic seconds; NEVER disarms."""
        self._armed = False

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
        return sum(len(bucket) for bucket in self._buckets.values())

    def arm(self, deadline: Deadline) -> None:
        """Watch a deadline whose `at` is set. Arming one that is watched already costs nothing."""
        if not deadline._armed and deadline.at is not NEVER:
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
                self._look(deadline, now)
        self._slot = max(self._slot, last)

    def _look(self, deadline: Deadline, now: float) -> None:
        deadline._armed = False
        if deadline.at <= now:
            deadline.at = NEVER
            deadline.expired(now)
        elif deadline.at is not NEVER:
            self._put(deadline)

    def _put(self, deadline: Deadline) -> None:
        deadline._armed = True
        slot = max(self._slot_of(deadline.at), self._slot)
        self._buckets.setdefault(slot, []).append(deadline)

    @staticmethod
    def _slot_of(at: float) -> int:
        return int(at / TICK_S)
