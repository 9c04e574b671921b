"""The work queue kit over the queue on disk and the fake in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wardwright.journal.work_queue import Bounds
from wardwright.storage.work_queue import SqliteWorkQueue
from wardwright.testing import work_queue_kit
from wardwright.testing.determinism import HandClock
from wardwright.testing.work_queue import MemoryJobs, MemoryWorkQueue


def bounds_of(setting: work_queue_kit.Setting) -> dict[str, Bounds]:
    return dict.fromkeys((work_queue_kit.LANE, "one", "two", "other"), setting.bounds)


class OnDisk:
    """A queue file as the kit sees it."""

    def __init__(self, folder: Path, setting: work_queue_kit.Setting) -> None:
        self.clock = HandClock()
        self._queue = SqliteWorkQueue(folder / "work.sqlite", clock=self.clock, bounds=bounds_of(setting))

    def open(self) -> SqliteWorkQueue:
        self._queue.open(asyncio.get_running_loop())
        return self._queue

    def close(self) -> None:
        self._queue.close()

    def kill(self) -> None:
        self._queue.abandon()


class InMemory:
    """Stored jobs in memory as the kit sees them."""

    def __init__(self, setting: work_queue_kit.Setting) -> None:
        self.clock = HandClock()
        self._bounds = bounds_of(setting)
        self._queue: MemoryWorkQueue | None = None
        self._stored = MemoryJobs()

    def open(self) -> MemoryWorkQueue:
        self._queue = MemoryWorkQueue(self._stored, clock=self.clock, bounds=self._bounds)
        return self._queue

    def close(self) -> None:
        return

    def kill(self) -> None:
        if self._queue is not None:
            self._queue.kill()


@pytest.mark.parametrize("case", work_queue_kit.CASES, ids=str)
def test_the_queue_on_disk_keeps_the_promises(case: work_queue_kit.Case, tmp_path: Path) -> None:
    case.run(lambda setting: OnDisk(tmp_path, setting))


@pytest.mark.parametrize("case", work_queue_kit.CASES, ids=str)
def test_the_fake_keeps_the_promises(case: work_queue_kit.Case) -> None:
    case.run(InMemory)
