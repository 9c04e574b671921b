"""An event loop's timers, turned by hand: what happens in an hour happens at once, in order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from wardwright.limits.deadlines import TICK_S, Wheel


class HandTimers:
    """Callbacks wait until the test passes time. Implements `providers.playback.Loop`."""

    def __init__(self) -> None:
        self.wheel = Wheel(0.0)
        """Turns with these timers."""
        self._now = 0.0
        self._due: list[tuple[float, int, HandTimer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any) -> HandTimer:
        return self.call_later(0.0, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> HandTimer:
        timer = HandTimer(callback, args)
        heapq.heappush(self._due, (self._now + delay, next(self._order), timer))
        return timer

    def turn(self) -> None:
        """Run what is due now, and what that makes due."""
        self.pass_time(0.0)

    def pass_time(self, seconds: float) -> None:
        """Run everything that comes due within so many seconds, each thing at its instant."""
        until = self._now + seconds
        while True:
            at = self._due[0][0] if self._due else until
            tick = self.wheel.now + TICK_S
            if self._due and at <= min(until, tick):
                _, _, timer = heapq.heappop(self._due)
                self._now = max(self._now, at)
                timer.run()
            elif tick <= until:
                self._now = max(self._now, tick)
                self.wheel.advance(tick)
            else:
                self._now = until
                return


class HandTimer:
    """A callback to come. Implements `providers.playback.Handle`."""

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._callback: Callable[..., object] | None = callback
        self._args = args

    def cancel(self) -> None:
        self._callback = None

    def run(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(*self._args)
