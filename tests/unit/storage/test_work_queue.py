"""The queue on disk: private, honest about a disk that fails, never in the loop's way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from wardwright.journal.work_queue import Bounds, Work
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.work_queue import SqliteWorkQueue, stored_jobs
from wardwright.testing.determinism import HandClock

LANE = "lane"


def run(play: Coroutine[Any, Any, None]) -> None:
    asyncio.run(play)


def work(number: int) -> Work:
    return Work(key=f"{number}", lane=LANE, payload=b"payload", ref="rcp_1")


def opened(path: Path, **options: Any) -> SqliteWorkQueue:
    queue = SqliteWorkQueue(path, clock=HandClock(), **options)
    queue.open(asyncio.get_running_loop())
    return queue


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    async def play() -> None:
        queue = opened(tmp_path / "state" / "work.sqlite")
        queue.put(work(1))
        await queue.drain()
        files = list((tmp_path / "state").iterdir())
        assert {path.name for path in files} >= {"work.sqlite", "work.sqlite-wal"}
        assert {path.stat().st_mode & 0o077 for path in files} == {0}
        queue.close()

    run(play())


def test_jobs_can_be_read_where_nobody_holds_the_file(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "work.sqlite"
        assert stored_jobs(path) == ()
        assert not path.exists()
        queue = opened(path)
        queue.put(work(1))
        await queue.drain()
        assert [job.key for job in stored_jobs(path)] == ["1"], "while somebody does, too"
        queue.close()
        assert [(job.key, job.ref, job.state_name) for job in stored_jobs(path)] == [("1", "rcp_1", "waiting")]

    run(play())


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(4096)])
def test_a_file_that_is_no_queue_is_said_with_its_place(tmp_path: Path, content: bytes) -> None:
    async def play() -> None:
        path = tmp_path / "work.sqlite"
        path.write_bytes(content)
        for use in (opened, stored_jobs):
            with pytest.raises(WardwrightError) as refused:
                use(path)
            assert refused.value.code == "queue_broken"
            assert refused.value.place is not None
            assert refused.value.place.file == str(path)

    run(play())


def test_a_disk_that_fails_is_told_and_work_goes_on_until_it_is_mended(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "work.sqlite"
        heard: list[Exception | None] = []
        queue = opened(path, on_failure=heard.append)
        queue.put(work(1))
        lease = await queue.lease(LANE, visible_s=60)
        assert lease is not None
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("ALTER TABLE jobs RENAME TO elsewhere")
            told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
            assert queue.put(work(2), on_durable=told.set_result) == "taken"
            assert isinstance(await told, sqlite3.Error)
            assert heard == [queue.failure]
            await queue.ack(lease)
            second = await queue.lease(LANE, visible_s=60)
            assert second is not None
            assert second.job.key == "2"
            other.execute("ALTER TABLE elsewhere RENAME TO jobs")
        await queue.ack(second)
        while queue.failure is not None:
            await queue.drain()
        assert heard[-1] is None
        assert [job.state_name for job in stored_jobs(path)] == ["done", "done"]
        queue.close()

    run(play())


def test_closing_says_when_the_disk_did_not_take_the_rest(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "work.sqlite"
        queue = opened(path)
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("DROP TABLE jobs")
        queue.put(work(1))
        with pytest.raises(WardwrightError) as refused:
            queue.close()
        assert refused.value.code == "queue_broken"

    run(play())


def test_a_put_waits_for_no_disk(tmp_path: Path) -> None:
    async def play() -> None:
        path = tmp_path / "work.sqlite"
        queue = opened(path, bounds={LANE: Bounds(waiting_max=3_000)})
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")  # whoever writes waits for this
            assert {queue.put(work(number)) for number in range(2_000)} == {"taken"}
            assert stored_jobs(path) == ()
            other.execute("ROLLBACK")
        await queue.drain()
        assert len(stored_jobs(path)) == 2_000
        queue.close()

    run(play())
