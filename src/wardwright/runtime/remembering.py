"""State over time beside the journal: the past that rules read, and budgets. Taken up at the start, stored now and
then.

Rule 1: a gateway without policies that need it pays nothing: the journal is not read for it.
Rule 2: the store is a projection. Where it fails, calls go on, the log says so once, and a later start reads more of
the journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from wardwright.calls.remembered import entry_of, events_of
from wardwright.gateway.service import Gateway
from wardwright.journal.state import Stale
from wardwright.journal.store import Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.runtime.budgets import BudgetKeeper
from wardwright.runtime.history import SAVE_S, HistoryKeeper
from wardwright.storage.state import SqliteStateStore

log = logging.getLogger("wardwright")


class Remembering:
    """Keeps what one gateway remembers. Construct, `start`, spawn `keep`, `aclose` once the journal is closed."""

    def __init__(self, store: SqliteStateStore, reader: Reader, gateway: Gateway, clock: Clock) -> None:
        self._budgets = BudgetKeeper(store, reader, entry_of)
        self._clock = clock
        self._gateway = gateway
        self._history = HistoryKeeper(gateway.history, store, reader, events_of)
        self._failing = False
        self._opening = asyncio.Lock()
        self._started = False
        self._store = store

    async def start(self) -> None:
        """Bring everything to where the journal ends; once. The policies must be declared. Raises `state_write`."""
        async with self._opening:
            if not self._started:
                await asyncio.to_thread(self._open)
                self._gateway.budgets = self._budgets.budgets
                self._started = True

    async def keep(self, needed: Callable[[], bool]) -> None:
        """Store what changes. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(SAVE_S)
            if self._started and needed():
                await self._save()

    async def aclose(self) -> None:
        """Store what is left."""
        if self._started:
            await self._save()
            await asyncio.to_thread(self._store.close)

    def _open(self) -> None:
        self._store.open()
        self._history.start()
        self._budgets.start()

    async def _save(self) -> None:
        failure: Exception | None
        try:
            await self._history.save(self._clock.now_us())
            await self._budgets.save()
            failure = self._history.failure or self._budgets.failure
        except (Stale, WardwrightError) as error:  # the journal does not tell how far it reaches
            failure = error
        if failure is not None and not self._failing:
            log.error("what rules remember cannot be stored: %s", failure)
        self._failing = failure is not None
