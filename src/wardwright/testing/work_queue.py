"""A work queue in memory: the same decisions, durable in the next turn of the event loop, without a disk or a thread.

Passes `wardwright.testing.work_queue_kit` as the queue on disk does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wardwright.journal.entry import Durable
from wardwright.journal.work_ledger import Place, WorkLedger
from wardwright.journal.work_queue import Bounds, Job
from wardwright.kernel.ids import Clock
from wardwright.storage.ledger_queue import LedgerQueue


class MemoryJobs:
    """What outlives a queue: its jobs, and how often it was opened."""

    def __init__(self) -> None:
        self.epoch = 0
        self.jobs: dict[Place, Job] = {}


class MemoryWorkQueue(LedgerQueue):
    """A queue over `MemoryJobs`. Implements `journal.work_queue.WorkQueue` and `WorkDesk`."""

    failure: Exception | None = None

    def __init__(
        self, stored: MemoryJobs | None = None, *, clock: Clock, bounds: Mapping[str, Bounds] | None = None
    ) -> None:
        self._stored = stored or MemoryJobs()
        self._stored.epoch += 1
        jobs, epoch = self._stored.jobs.values(), self._stored.epoch
        super().__init__(WorkLedger(jobs, bounds=bounds, epoch=epoch, now=clock.now_us()), clock)

    def kill(self) -> None:
        """What is not durable yet is lost, and nothing more becomes so."""
        self._stored = MemoryJobs()

    def _note(self, durable: Durable | None) -> None:
        asyncio.get_running_loop().call_soon(self._write, self._ledger.take_changes(), durable)

    def _write(self, changes: Mapping[Place, Job | None], durable: Durable | None) -> None:
        for place, job in changes.items():
            if job is None:
                self._stored.jobs.pop(place, None)
            else:
                self._stored.jobs[place] = job
        if durable is not None:
            durable(None)
