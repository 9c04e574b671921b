"""Keeping budgets beside the journal: taken up at the start, stored now and then, never in the way of a call.

Rule 1: the cursor is read before the budgets are taken: all that lies before it is counted in them, since a call is
counted before its receipt is put. What lies behind it and is counted already is known by its order.
Rule 2: what could not be stored comes again with the next save; the journal has it all the same.
Rule 3: a gateway that serves alone counts what every writer of its journal wrote. Of several workers each counts its
own, and tells the others through `limits.shares`; so each mode keeps a projection of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from wardwright.journal.entry import Record
from wardwright.journal.state import Chosen, Reached, StateStore, calls, follow, restore
from wardwright.journal.store import ChainKey, Reader
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.budget_record import Entry, Snapshot
from wardwright.limits.budgets import Budgets
from wardwright.limits.shares import Shares

NAME: Final = "budgets"
SHARED_NAME: Final = "budgets of one worker"
ROW: Final = "snapshot"


class BudgetKeeper:
    """Budgets, their store and the journal."""

    def __init__(
        self,
        store: StateStore,
        reader: Reader,
        entry_of: Callable[[Record], Entry | None],
        *,
        shares: Shares | None = None,
        writer: str,
    ) -> None:
        """`entry_of` finds what a record of a call's life counted; None: nothing. `writer` writes this process's
        receipts; with `shares` no others are counted."""
        self.budgets = Budgets(writer=writer)
        self.failure: WardwrightError | None = None
        """Why budgets could not be stored the last time, if they could not."""
        self._entry_of = entry_of
        self._name = NAME if shares is None else SHARED_NAME
        self._only: Chosen = calls if shares is None else self._own
        self._reached: tuple[Reached, ...] = ()
        self._reader = reader
        self._saved = -1
        """The order of the last call that is stored."""
        self._shares = shares
        self._store = store
        self._writer = writer

    def start(self) -> None:
        """Bring budgets to where the journal ends. Blocks; call it before the first call."""
        self._reached = restore(self._store, self._reader, self._name, self._take, self._fold, only=self._only)
        self.budgets.shares = self._shares

    async def save(self) -> bool:
        """Store what has changed; whether something had. One at a time."""
        if self.budgets.order == self._saved:
            return False
        reached = await asyncio.to_thread(lambda: follow(self._reader, self._reached, only=self._only))
        order = self.budgets.order
        data = canonical.encode(self.budgets.snapshot())
        try:
            await asyncio.to_thread(self._store.save, self._name, {ROW: data}, reached)
        except WardwrightError as error:
            self.failure = error
            return False
        self.failure, self._reached, self._saved = None, reached, order
        return True

    def _own(self, key: ChainKey) -> bool:
        return key.chain == "calls" and key.writer == self._writer

    def _take(self, rows: Mapping[str, bytes]) -> None:
        data = rows.get(ROW)
        if data is not None:
            self.budgets = Budgets.restored(msgspec.json.decode(data, type=Snapshot), writer=self._writer)
            self._saved = self.budgets.order

    def _fold(self, record: Record) -> None:
        entry = self._entry_of(record)
        if entry is not None:
            self.budgets.apply(entry)
