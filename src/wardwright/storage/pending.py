"""From the event loop to the writer's thread and back: a bounded queue whose owner pays almost nothing to put.

Rule 1: `put` takes no lock and makes no system call while the thread is at work; it wakes the thread only when that
waits for work.
Rule 2: an entry's `on_durable` is called exactly once, on the event loop, one hand-over a batch. Whoever calls it takes
it off the entry first.
Rule 3: an entry that finds the queue full is refused and counted; every other entry stays until it is written.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from wardwright.journal.entry import Durable, Entry
from wardwright.kernel.errors import WardwrightError


class Loop(Protocol):
    """What is needed of an event loop: run this soon, on your thread."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: object) -> object: ...


class Pending:
    """Entries on their way to the thread. `put` belongs to the loop's thread, all else to the writer's."""

    def __init__(self, loop: Loop, entries_max: int) -> None:
        self.entries_max = entries_max
        self.refused = 0
        """Entries that found the queue full or the writer closed, ever."""
        self.stopping = False
        self.failure: Exception | None = None
        self._loop = loop
        self._entries: deque[Entry] = deque()
        self._idle = False
        self._wake = threading.Lock()
        self._wake.acquire()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """Queue an entry. Never blocks, never raises."""
        entries = self._entries
        if self.failure is not None or self.stopping or len(entries) >= self.entries_max:
            self._put_in_trouble(entry)
            return
        entries.append(entry)
        if self._idle:
            self._idle = False
            self.wake()

    def wake(self) -> None:
        """End whatever wait the thread is in. A wake that finds none ends the next one early."""
        try:
            self._wake.release()
        except RuntimeError:  # woken already
            return

    def wait(self) -> None:
        """Wait until there is an entry, or the end."""
        self._idle = True
        if not self._entries and not self.stopping:
            self._wake.acquire()
        self._idle = False

    def pause(self, seconds: float) -> None:
        """Wait for a while; `wake` ends it."""
        self._wake.acquire(timeout=seconds)

    def take(self, count_max: int) -> list[Entry]:
        """The oldest entries."""
        entries = self._entries
        return [entries.popleft() for _ in range(min(count_max, len(entries)))]

    def tell(self, callbacks: list[Durable], failure: Exception | None) -> None:
        """Call the callbacks on the event loop, in one hand-over."""
        if callbacks:
            self._soon(_deliver, callbacks, failure)

    def tell_waiting(self, failure: Exception) -> None:
        """Tell everyone in the queue that they cannot be written now. Their entries stay."""
        self.tell(taken(list(self._entries)), failure)

    def hand_over(self, callback: Callable[[Exception | None], None], failure: Exception | None) -> None:
        """Call something else on the event loop."""
        self._soon(callback, failure)

    def _put_in_trouble(self, entry: Entry) -> None:
        failure = self.failure
        if self.stopping:
            failure = failure or WardwrightError("not_ready", "the journal is closed")
            self.refused += 1
        elif len(self._entries) >= self.entries_max:
            failure = failure or WardwrightError("overloaded", f"{self.entries_max} journal entries wait to be written")
            self.refused += 1
        else:
            if failure is not None:
                self.tell(taken((entry,)), failure)
            self._entries.append(entry)
            self.wake()
            return
        self.tell(taken((entry,)), failure)

    def _soon(self, callback: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return


def taken(entries: Iterable[Entry]) -> list[Durable]:
    """The callbacks of entries, taken off them."""
    callbacks = []
    for entry in entries:
        callback = entry.on_durable
        if callback is not None:
            entry.on_durable = None
            callbacks.append(callback)
    return callbacks


def _deliver(callbacks: list[Durable], failure: Exception | None) -> None:
    defects = []
    for callback in callbacks:
        try:
            callback(failure)
        except Exception as defect:
            defects.append(defect)
    if defects:
        raise ExceptionGroup("a journal callback failed", defects)
