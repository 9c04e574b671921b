"""Earlier calls of tools, found in the index of their receipts and in what has just ended.

Rule 1: what this process has closed is found at once; what another one closed, once it lies in a segment.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from wardwright.calls.receipt import Caller, said
from wardwright.harness.core.houses import Shown
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.rows import Summary, lost_in, path_digest, receipt_in, shown
from wardwright.journal.rows import value_of
from wardwright.journal.store import Index, Where

RECENT_MAX: Final = 4_096
"""Receipts of this process that are held in memory."""

LOOKED_AT_MAX: Final = 100
"""Receipts that one question of the index gives; older ones show nothing."""


class ToolPast:
    """Implements `harness.call.Past`. Belongs to the event loop's thread; the index is asked off it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._recent: OrderedDict[str, ToolReceipt] = OrderedDict()

    def note(self, receipt: ToolReceipt) -> None:
        self._recent[receipt.receipt] = receipt
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)

    async def receipt(self, id_: str) -> ToolReceipt | None:
        """One receipt; for a call that was lost, what is known of it. None for one that is under way."""
        recent = self._recent.get(id_)
        if recent is not None:
            return recent
        records = await asyncio.to_thread(self._index.get, id_)
        closed = next((found for record in records if (found := receipt_in(record)) is not None), None)
        return lost_in(records) if closed is None else closed

    async def shown(self, tenant: str, receipts: Sequence[str]) -> tuple[Shown, ...]:
        found = [await self.receipt(id_) for id_ in dict.fromkeys(receipts)]
        return tuple(shown(one) for one in found if one is not None and one.caller.tenant.value == tenant)

    async def reads(self, caller: Caller, paths: Sequence[str]) -> tuple[Shown, ...]:
        run, session = said(caller.run), said(caller.session)
        if run is None and session is None:
            return ()
        wanted = (("run", run),) if run is not None else (("session", session),)
        conditions = tuple(Where(column, "eq", value) for column, value in wanted if value is not None)
        return await self._found(caller.tenant.value, paths, "reads", (*conditions, Where("effect", "eq", "read")))

    async def writers(self, tenant: str, paths: Sequence[str]) -> tuple[Shown, ...]:
        found: dict[str, Shown] = {}
        for one in await self._found(tenant, paths, "writes", (Where("status", "eq", "completed"),)):
            for path in one.writes:
                last = found.get(path)
                if path in paths and one.completed and (last is None or last.order < one.order):
                    found[path] = one
        return tuple({one.receipt: one for one in found.values()}.values())

    async def _found(
        self, tenant: str, paths: Sequence[str], column: str, conditions: tuple[Where, ...]
    ) -> tuple[Shown, ...]:
        """Receipts that name one of the paths in a column."""
        ids: dict[str, None] = {}
        for path in paths:
            where = (Where("tenant", "eq", tenant), Where(column, "has", path_digest(path)), *conditions)
            page = await asyncio.to_thread(partial(self._index.query, where, limit=LOOKED_AT_MAX))
            ids.update((value_of(row, Summary).receipt, None) for row in page.rows)
        ids.update((id_, None) for id_, one in self._recent.items() if self._meets(one, conditions))
        named = frozenset(paths)
        return tuple(one for one in await self.shown(tenant, tuple(ids)) if not named.isdisjoint(getattr(one, column)))

    def _meets(self, receipt: ToolReceipt, conditions: Iterable[Where]) -> bool:
        claims = {
            "run": said(receipt.caller.run),
            "session": said(receipt.caller.session),
            "effect": receipt.effect,
            "status": receipt.status,
        }
        return all(claims[one.column] == one.value for one in conditions)
