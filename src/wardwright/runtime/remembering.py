"""State over time beside the journal: the past that rules read, and budgets. Taken up at the start, stored now and
then.

Rule 1: a gateway without policies that need it pays nothing: the journal is not read for it.
Rule 2: the store is a projection. Where it fails, calls go on, the log says so once, and a later start reads more of
the journal.
Rule 3: of several workers each keeps a store of its own. What others settled is heard within HEAR_S of its reaching
their segments; of shared limits each fills its part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from wardwright.calls.remembered import entry_of, events_of
from wardwright.gateway.service import Gateway
from wardwright.journal.state import Stale
from wardwright.journal.store import Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.limits.shares import Shares
from wardwright.runtime.budgets import BudgetKeeper
from wardwright.runtime.history import SAVE_S, HistoryKeeper
from wardwright.runtime.worker import ALONE, Worker
from wardwright.storage.shares import SqliteShareStore
from wardwright.storage.state import SqliteStateStore

HEAR_S: Final = 0.1
"""How often workers listen to each other."""

SHARE_S: Final = 0.5
"""How often workers tell each other what they used."""

log = logging.getLogger("wardwright")


class Remembering:
    """Keeps what one gateway remembers. Construct, `start`, spawn `keep`, `aclose` once the journal is closed."""

    def __init__(
        self,
        store: SqliteStateStore,
        reader: Reader,
        gateway: Gateway,
        clock: Clock,
        *,
        shared: SqliteShareStore | None = None,
        worker: Worker = ALONE,
        writer: str,
    ) -> None:
        """`shared` is where workers tell each other what they hold; None: this one serves alone."""
        shares = None if shared is None else Shares(shared, worker.number, worker.count)
        self._budgets = BudgetKeeper(store, reader, entry_of, shares=shares, writer=writer)
        self._clock = clock
        self._gateway = gateway
        self._history = HistoryKeeper(gateway.history, store, reader, events_of, writer=writer)
        self._failing: set[str] = set()
        """What went wrong the last time, by name."""
        self._opening = asyncio.Lock()
        self._shared = shared
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
        """Store what changes, and exchange it with other workers. Runs until it is cancelled."""
        pause_s = SAVE_S if self._shared is None else HEAR_S
        since_share_s, since_save_s = 0.0, 0.0
        while True:
            await asyncio.sleep(pause_s)
            if not (self._started and needed()):
                continue
            since_share_s, since_save_s = since_share_s + pause_s, since_save_s + pause_s
            if self._shared is not None:
                await self._tried("hear", self._history.hear())
                if since_share_s >= SHARE_S:
                    since_share_s = 0.0
                    await self._tried("share", self._share())
            if since_save_s >= SAVE_S:
                since_save_s = 0.0
                await self._tried("save", self._save())

    async def aclose(self) -> None:
        """Store what is left."""
        if self._started:
            await self._tried("save", self._save())
            await asyncio.to_thread(self._store.close)
            if self._shared is not None:
                await self._tried("share", self._share())
                self._shared.close()

    def _open(self) -> None:
        self._store.open()
        self._history.start()
        self._budgets.start()
        if self._shared is not None:
            self._shared.open()
            self._budgets.budgets.join()

    async def _share(self) -> None:
        self._budgets.budgets.share(self._clock.now_us())

    async def _save(self) -> None:
        await self._history.save(self._clock.now_us())
        await self._budgets.save()
        failure = self._history.failure or self._budgets.failure
        if failure is not None:
            raise failure

    async def _tried(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (OSError, Stale, WardwrightError) as failure:  # Stale: the journal does not tell how far it reaches
            if what not in self._failing:
                log.error("what rules remember cannot be kept: %s", failure)
            self._failing.add(what)
        else:
            self._failing.discard(what)
