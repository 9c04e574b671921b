"""What every work queue over the ledger does alike; how a change becomes durable is each queue's own.

Rule 1: the ledger decides in memory, at once. Whoever must not go on before the decision lasts waits for `_note`.
Rule 2: a lease whose waiter is gone before it could be handed out is given back.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from wardwright.journal.entry import Durable
from wardwright.journal.work_ledger import WorkLedger
from wardwright.journal.work_queue import Job, Lease, Put, Stats, Work
from wardwright.kernel.ids import Clock
from wardwright.kernel.units import SECOND_US


class LedgerQueue(ABC):
    """Belongs to one event loop's thread. Implements `journal.work_queue.WorkQueue` and `WorkDesk`, save `failure`."""

    def __init__(self, ledger: WorkLedger, clock: Clock) -> None:
        self._clock = clock
        self._draining = False
        self._ledger = ledger

    @abstractmethod
    def _note(self, durable: Durable | None) -> None:
        """Take the ledger's changes to where they last, and call `durable` on the loop when those made so far do."""

    # -- journal.work_queue.WorkQueue ----------------------------------------------------------------------------------

    def put(self, work: Work, *, on_durable: Durable | None = None) -> Put:
        if self._draining:
            return "full"
        answer = self._ledger.put(work, self._clock.now_us())
        if answer == "taken":
            self._note(on_durable)
        return answer

    def bury(self, work: Work, why: str) -> Put:
        if self._draining:
            return "full"
        answer = self._ledger.bury(work, why, self._clock.now_us())
        if answer == "taken":
            self._note(None)
        return answer

    async def lease(self, lane: str, *, visible_s: float) -> Lease | None:
        lease = self._ledger.lease(lane, self._clock.now_us(), visible_us=_us(visible_s))
        if lease is None:
            return None
        try:
            await self._lasting()
        except BaseException:
            self.release(lease)
            raise
        return lease

    async def ack(self, lease: Lease, note: str = "") -> None:
        self._ledger.ack(lease, note, self._clock.now_us())
        await self._lasting()

    async def retry(self, lease: Lease, *, delay_s: float, why: str) -> None:
        self._ledger.retry(lease, self._clock.now_us() + _us(delay_s), why)
        await self._lasting()

    async def dead(self, lease: Lease, why: str) -> None:
        self._ledger.dead(lease, why, self._clock.now_us())
        await self._lasting()

    def release(self, lease: Lease, *, delay_s: float = 0.0) -> None:
        self._ledger.release(lease, self._clock.now_us() + _us(delay_s))
        self._note(None)

    async def drain(self) -> None:
        self._draining = True
        await self._lasting()

    # -- journal.work_queue.WorkDesk -----------------------------------------------------------------------------------

    def next_due(self, lane: str) -> int | None:
        return self._ledger.next_due(lane)

    def stats(self, lane: str) -> Stats:
        return self._ledger.stats(lane)

    def jobs(self, lane: str | None = None) -> tuple[Job, ...]:
        return self._ledger.jobs(lane)

    async def give_up(self, lane: str, why: str) -> int:
        count = self._ledger.give_up(lane, why, self._clock.now_us())
        await self._lasting()
        return count

    async def revive(self, lane: str, key: str) -> bool:
        done = self._ledger.revive(lane, key, self._clock.now_us())
        await self._lasting()
        return done

    async def drop(self, lane: str, key: str) -> bool:
        done = self._ledger.drop(lane, key)
        await self._lasting()
        return done

    async def _lasting(self) -> None:
        """Wait until what was decided so far lasts, or the disk has said no."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(failure: Exception | None, /) -> None:
            if not told.done():
                told.set_result(None)

        self._note(heard)
        await told


def _us(seconds: float) -> int:
    return int(seconds * SECOND_US)
