"""A sink in memory: it keeps what it is told, and fails as a test wants it to.

Passes `wardwright.testing.sink_kit` as the real ones do.
"""

from __future__ import annotations

import asyncio
from collections import deque

from wardwright.journal.sinks import Delivered, Later, Letter, Outcome


class MemorySink:
    """Implements `journal.sinks.Sink`."""

    def __init__(self) -> None:
        self.delivered: list[Letter] = []
        """In the order of arrival."""
        self.next: deque[Outcome] = deque()
        """What becomes of the next letters; empty: they are delivered."""
        self.gate = asyncio.Event()
        """A letter waits until it is set."""
        self.gate.set()
        self.under_way = 0
        self.under_way_max = 0
        """The most that were under way together."""
        self._open = False

    async def open(self) -> None:
        self._open = True

    async def deliver(self, letter: Letter) -> Outcome:
        if not self._open:
            return Later(why="the sink is closed")
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        outcome = self.next.popleft() if self.next else Delivered(note="kept")
        if isinstance(outcome, Delivered):
            self.delivered.append(letter)
        return outcome

    async def aclose(self) -> None:
        self._open = False
