"""A work queue in memory: the same decisions, durable in the next turn of the event loop, without a disk or a thread.

Passes `wardwright.testing.work_queue_kit` as the queue on disk does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wardwright.journal.entry import Durable
from wardwright.journal.work_ledger import Place, WorkLedger
from wardwright.journal.work_queue import Bounds, Job, Lease, Put, Stats, Work
from wardwright.kernel.ids import Clock


class MemoryJobs:
    """What outlives a queue: its jobs, and how often it was opened."""

    def __init__(self) -> None:
        self.epoch = 0
        self.jobs: dict[Place, Job] = {}


class MemoryWorkQueue:
    """A queue over `MemoryJobs`. Implements `journal.work_queue.WorkQueue` and `WorkDesk`."""

    failure: Exception | None = None

    def __init__(
        self, stored: MemoryJobs | None = None, *, clock: Clock, bounds: Mapping[str, Bounds] | None = None
    ) -> None:
        self._clock = clock
        self._draining = False
        self._stored = stored or MemoryJobs()
        self._stored.epoch += 1
        self._ledger = WorkLedger(
            self._stored.jobs.values(), bounds=bounds, epoch=self._stored.epoch, now=clock.now_us()
        )

    def kill(self) -> None:
        """What is not durable yet is lost, and nothing more becomes so."""
        self._stored = MemoryJobs()

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
        lease = self._ledger.lease(lane, self._clock.now_us(), visible_us=int(visible_s * 1_000_000))
        if lease is not None:
            await self._lasting()
        return lease

    async def ack(self, lease: Lease, note: str = "") -> None:
        self._ledger.ack(lease, note, self._clock.now_us())
        await self._lasting()

    async def retry(self, lease: Lease, *, delay_s: float, why: str) -> None:
        self._ledger.retry(lease, self._clock.now_us() + int(delay_s * 1_000_000), why)
        await self._lasting()

    async def dead(self, lease: Lease, why: str) -> None:
        self._ledger.dead(lease, why, self._clock.now_us())
        await self._lasting()

    def release(self, lease: Lease, *, delay_s: float = 0.0) -> None:
        self._ledger.release(lease, self._clock.now_us() + int(delay_s * 1_000_000))
        self._note(None)

    async def drain(self) -> None:
        self._draining = True
        await self._lasting()

    def next_due(self, lane: str) -> int | None:
        return self._ledger.next_due(lane)

    def stats(self, lane: str) -> Stats:
        return self._ledger.stats(lane)

    def jobs(self, lane: str | None = None) -> tuple[Job, ...]:
        return self._ledger.jobs(lane)

    async def revive(self, lane: str, key: str) -> bool:
        done = self._ledger.revive(lane, key, self._clock.now_us())
        await self._lasting()
        return done

    async def drop(self, lane: str, key: str) -> bool:
        done = self._ledger.drop(lane, key)
        await self._lasting()
        return done

    def _note(self, durable: Durable | None) -> None:
        asyncio.get_running_loop().call_soon(self._write, self._ledger.take_changes(), durable)

    async def _lasting(self) -> None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._note(lambda failure, /: None if told.done() else told.set_result(None))
        await told

    def _write(self, changes: Mapping[Place, Job | None], durable: Durable | None) -> None:
        for place, job in changes.items():
            if job is None:
                self._stored.jobs.pop(place, None)
            else:
                self._stored.jobs[place] = job
        if durable is not None:
            durable(None)
