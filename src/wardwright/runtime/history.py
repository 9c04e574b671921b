"""Keeping history beside the journal: taken up at the start, stored now and then, never in the way of a call.

Rule 1: the cursor is read before the changed rows are taken: all that lies before it was settled in this process, since
a call is settled before its receipt is put.
Rule 2: what could not be stored comes again with the next save; the journal has it all the same.
Rule 3: what other workers settled is folded in when it lies in their segments, and not before: their calls under way
are not seen here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from wardwright.journal.entry import Record
from wardwright.journal.state import Reached, StateStore, follow, restore
from wardwright.journal.store import ChainKey, Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.events import CallEvents
from wardwright.limits.history import NAME, History, Row

ROWS_MAX: Final = 256
"""Rows taken from history at one time: what the event loop waits for."""

SAVE_S: Final = 5.0
"""How often history should be saved: what a start reads again of the journal's tail."""


class HistoryKeeper:
    """History, its store and the journal. `history` must have its policies declared before `start`."""

    def __init__(
        self,
        history: History,
        store: StateStore,
        reader: Reader,
        events_of: Callable[[Record], CallEvents | None],
        *,
        writer: str,
    ) -> None:
        """`events_of` finds the events in a record of a call's life; None: it has none. `writer` writes this process's
        receipts."""
        self.failure: WardwrightError | None = None
        """Why history could not be stored the last time, if it could not."""
        self._history = history
        self._store = store
        self._reader = reader
        self._events_of = events_of
        self._reached: tuple[Reached, ...] = ()
        self._writer = writer

    def start(self) -> None:
        """Bring history to where the journal ends. Blocks; call it before the first call."""
        self._reached = restore(
            self._store, self._reader, NAME, lambda rows: self._history.restore(rows.items()), self._fold
        )

    async def hear(self) -> None:
        """Take in what other workers settled since. Not while it saves. Raises Stale, `journal_broken`."""
        heard: list[Record] = []
        reached = await asyncio.to_thread(
            lambda: follow(self._reader, self._reached, heard.append, only=self._of_others)
        )
        for record in heard:
            self._fold(record)
        self._reached = reached

    async def save(self, now_us: int) -> int:
        """Store what has changed; how many rows that were. One at a time."""
        reached = await asyncio.to_thread(lambda: follow(self._reader, self._reached, only=self._own))
        total = 0
        while True:
            rows = self._history.changes(now_us, ROWS_MAX)
            last = len(rows) < ROWS_MAX
            if not await self._stored(rows, reached if last else self._reached):
                return total
            total += len(rows)
            if last:
                self._reached = reached
                return total

    async def _stored(self, rows: tuple[Row, ...], reached: tuple[Reached, ...]) -> bool:
        try:
            await asyncio.to_thread(self._store.save, NAME, {row.key: row.value for row in rows}, reached)
        except WardwrightError as error:
            self.failure = error
            self._history.unsaved(rows)
            return False
        self.failure = None
        return True

    def _own(self, key: ChainKey) -> bool:
        return key.chain == "calls" and key.writer == self._writer

    def _of_others(self, key: ChainKey) -> bool:
        return key.chain == "calls" and key.writer != self._writer

    def _fold(self, record: Record) -> None:
        events = self._events_of(record)
        if events is not None:
            self._history.apply(events)
