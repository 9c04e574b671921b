"""An event loop's `call_soon_threadsafe`, turned by hand: for code that hands over from a thread."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable


class HandLoop:
    """Callbacks wait until the test turns the loop, on the test's own thread."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[..., object], tuple[object, ...]]] = queue.SimpleQueue()

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: object) -> None:
        self._calls.put((callback, args))

    def turn(self) -> None:
        """Run what waits now."""
        for _ in range(self._calls.qsize()):
            callback, args = self._calls.get()
            callback(*args)

    def turn_until(self, done: Callable[[], bool], within_s: float = 10.0) -> None:
        """Run what comes until something holds. Raises TimeoutError when it does not come to hold."""
        end = time.monotonic() + within_s
        while not done():
            try:
                callback, args = self._calls.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"did not come to hold within {within_s} s") from None
            callback(*args)
