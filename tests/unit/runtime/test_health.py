"""What is found in the facts of an installation, and what its files tell."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from wardwright.harness.core.tasks import Task, TaskCall
from wardwright.journal.entry import Entry
from wardwright.journal.life import OPENED
from wardwright.journal.work_queue import Work
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.health import (
    Disk,
    Endpoint,
    Facts,
    Grade,
    Queue,
    Serving,
    Writing,
    changes,
    look_of,
    on_disk,
)
from wardwright.runtime.task_store import TaskStore
from wardwright.storage.lock import Holder, Lock
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings
from wardwright.storage.work_queue import SqliteWorkQueue
from wardwright.testing.determinism import EPOCH_US, HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import signer_of

GIB = 1024**3
NOW = EPOCH_US


def facts(**given: object) -> Facts:
    return Facts(at=NOW, state="/state", **given)  # type: ignore[arg-type]  # what a test says


def graded(about: str, of: Facts) -> Grade:
    return next(one.grade for one in look_of(of).findings if one.about == about)


@pytest.mark.parametrize(
    ("free", "inodes", "disk", "nodes"),
    [(9 * GIB, 500, "ok", "ok"), (GIB // 2, 40, "warn", "warn"), (1024, 5, "bad", "bad")],
)
def test_a_disk_that_fills_is_told_in_time(free: int, inodes: int, disk: Grade, nodes: Grade) -> None:
    of = facts(disk=Disk(bytes_free=free, bytes_total=10 * GIB, inodes_free=inodes, inodes_total=1000))
    assert (graded("disk", of), graded("inodes", of)) == (disk, nodes)


def queue(lane: str = "alerts/default", **given: int | None) -> Queue:
    counts = {"dead": 0, "done": 0, "leased": 0, "waiting": 0, "oldest_due_at": None} | given
    return Queue(file="work.sqlite", lane=lane, **counts)  # type: ignore[arg-type]  # what a test says


def test_dead_letters_and_work_that_nobody_does_are_told() -> None:
    assert graded("queue alerts/default", facts(queues=(queue(waiting=3, oldest_due_at=NOW),))) == "ok"
    assert graded("queue alerts/default", facts(queues=(queue(dead=1),))) == "warn"
    late = queue("tasks/ezra", waiting=1, oldest_due_at=NOW - 3600 * 10**6)
    (found,) = (one for one in look_of(facts(queues=(late,))).findings if one.about == "queue tasks/ezra")
    assert (found.grade, found.hint) == ("warn", "`wardwright task run --house ezra`")


def test_a_gateway_that_does_not_answer_is_bad_and_one_that_is_not_there_is_not() -> None:
    assert look_of(facts()).grade == "ok"
    assert look_of(facts(serving=Serving(url="http://x", failure="timed out"))).grade == "bad"
    assert graded("journal", facts(serving=Serving(url="http://x", journal_failure="no space"))) == "bad"
    assert graded("reload", facts(serving=Serving(url="http://x", reload_errors=1))) == "warn"


def test_one_endpoint_that_rests_is_a_warning_and_all_of_them_are_bad() -> None:
    rests = Endpoint(provider="p", model="m", state="open", rest="breaker_open", free_in_s=3)
    well = Endpoint(provider="p", model="n", state="closed", rest=None, free_in_s=0)
    some = facts(serving=Serving(url="http://x", endpoints=(rests, well)))
    assert (graded("breaker p/m", some), graded("breaker p/n", some), look_of(some).grade) == ("warn", "ok", "warn")
    assert graded("breakers", facts(serving=Serving(url="http://x", endpoints=(rests,)))) == "bad"


def test_an_approval_that_waits_long_is_told() -> None:
    assert graded("approvals", facts(approvals_waiting=1, approvals_since=NOW - 60 * 10**6)) == "ok"
    assert graded("approvals", facts(approvals_waiting=1, approvals_since=NOW - 7200 * 10**6)) == "warn"


def test_a_lock_that_is_held_by_nobody_who_lives_is_bad() -> None:
    held = Writing(name="n/gateway-0", pid=1, held=True, lives=False, journal=True)
    assert graded("writer n/gateway-0", facts(writers=(held,))) == "bad"


def test_only_what_has_another_grade_is_news() -> None:
    first = look_of(
        facts(queues=(queue(),), disk=Disk(bytes_free=9 * GIB, bytes_total=9, inodes_free=0, inodes_total=0))
    )
    moved = look_of(
        facts(queues=(queue(waiting=2),), disk=Disk(bytes_free=8 * GIB, bytes_total=9, inodes_free=0, inodes_total=0))
    )
    assert changes(first, moved) == ()
    worse = look_of(facts(queues=(queue(dead=1),)))
    told = {(one.about, one.before, one.grade) for one in changes(moved, worse)}
    assert told == {("queue alerts/default", "ok", "warn"), ("disk", "ok", None)}
    assert {one.before for one in changes(None, first)} == {None}


class Note(msgspec.Struct, frozen=True):
    receipt: str


def test_a_writer_that_was_killed_is_told_with_the_calls_that_were_under_way(tmp_path: Path) -> None:
    loop = HandLoop()
    clock = HandClock(EPOCH_US)
    writer = SegmentWriter(
        tmp_path,
        node="node_test",
        slot="gateway-0",
        signer=signer_of(),
        clock=clock,
        loop=loop,
        settings=JournalSettings(),
    )
    writer.open()
    told: list[Exception | None] = []
    writer.put(Entry(OPENED, Note("rcp_a"), at=EPOCH_US, on_durable=told.append))
    loop.turn_until(lambda: bool(told))
    (held,) = on_disk(tmp_path, NOW).writers
    assert (held.held, held.lives, held.pid) == (True, True, os.getpid())
    writer.abandon()
    (found,) = on_disk(tmp_path, NOW).writers
    assert (found.held, found.closed, found.open_calls) == (False, False, 1)
    assert graded("writer node_test/gateway-0", facts(writers=(found,))) == "warn"


def test_queues_and_tasks_are_read_from_their_files(tmp_path: Path) -> None:
    async def fill() -> None:
        work = SqliteWorkQueue(tmp_path / "work-1.sqlite", clock=SystemClock())
        work.open(asyncio.get_running_loop())
        work.put(Work(key="a", lane="alerts/pager", payload=b"x"))
        work.bury(Work(key="b", lane="alerts/pager", payload=b"x"), "gone")
        await work.drain()
        work.close()

    asyncio.run(fill())
    store = TaskStore(tmp_path, "ezra")
    store.add(Task(id="tsk_1", house="ezra", calls=(TaskCall(tool="system.info"),), added_at=1))
    found = on_disk(tmp_path, SystemClock().now_us())
    (lane,) = found.queues
    assert (lane.file, lane.lane, lane.waiting, lane.dead) == ("work-1.sqlite", "alerts/pager", 1, 1)
    assert found.tasks_added == (("ezra", 1),)
    runner = Lock(store.lock.path)
    runner.take(Holder(pid=os.getpid()))
    assert on_disk(tmp_path, NOW).tasks_added == ()
    runner.drop()


def test_what_cannot_be_looked_at_is_told_and_keeps_nothing_else_from_being_looked_at(tmp_path: Path) -> None:
    (tmp_path / "work.sqlite").write_bytes(b"this is no database" * 100)
    found = on_disk(tmp_path, NOW)
    assert [about for about, _ in found.failures] == ["queues"]
    assert found.disk is not None
    assert graded("queues", found) == "bad"
