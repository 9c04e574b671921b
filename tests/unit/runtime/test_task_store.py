"""How the tasks of a house are shown, taken from its files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from wardwright.harness.core.tasks import Task, TaskCall, lane_of
from wardwright.journal.work_queue import Work
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.clock import SystemClock
from wardwright.runtime.task_store import TaskStore, encoded, find, houses_with_tasks
from wardwright.storage.lock import Holder
from wardwright.storage.work_queue import SqliteWorkQueue


def task(id_: str, house: str = "ezra") -> Task:
    return Task(id=id_, house=house, calls=(TaskCall(tool="system.info"),), added_at=5)


def states(store: TaskStore) -> dict[str, str]:
    return {one.id: one.state for one in store.views()}


@pytest.fixture
def store(tmp_path: Path) -> TaskStore:
    return TaskStore(tmp_path, "ezra")


async def _leased(store: TaskStore, *tasks: Task) -> None:
    """Put tasks into the queue, lease the first, and end as a process does that is killed."""
    queue = SqliteWorkQueue(store.queue_file, clock=SystemClock())
    queue.open(asyncio.get_running_loop())
    for one in tasks:
        queue.put(Work(key=one.id, lane=lane_of(store.house), payload=encoded(one), ref=one.title))
    assert await queue.lease(lane_of(store.house), visible_s=60) is not None
    queue.abandon()


def test_a_task_is_added_until_a_runner_takes_it_in(store: TaskStore) -> None:
    store.add(task("tsk_1"))
    assert states(store) == {"tsk_1": "added"}
    asyncio.run(_leased(store, task("tsk_1")))
    assert states(store) == {"tsk_1": "waiting"}, "whoever leased it is gone"
    store.lock.take(Holder(pid=os.getpid()))
    assert states(store) == {"tsk_1": "running"}
    store.lock.drop()


def test_a_task_that_is_dropped_is_shown_so_unless_it_runs(store: TaskStore) -> None:
    asyncio.run(_leased(store, task("tsk_1"), task("tsk_2")))
    store.add(task("tsk_3"))
    for id_ in ("tsk_1", "tsk_2", "tsk_3"):
        store.drop(id_)
    store.lock.take(Holder(pid=os.getpid()))
    assert states(store) == {"tsk_1": "running", "tsk_2": "dropped", "tsk_3": "dropped"}
    store.lock.drop()


def test_what_is_no_task_of_the_house_is_left_alone(store: TaskStore) -> None:
    store.spool.leave("tsk_1.task", b"{")
    store.spool.leave("tsk_2.task", encoded(task("tsk_2", house="timmy")))
    store.spool.leave("tsk_3.task", encoded(task("tsk_4")))
    assert list(store.added()) == []


def test_tasks_are_found_in_every_house(tmp_path: Path, store: TaskStore) -> None:
    store.add(task("tsk_1"))
    TaskStore(tmp_path, "timmy").add(task("tsk_2", house="timmy"))
    assert houses_with_tasks(tmp_path) == ("ezra", "timmy")
    assert find(tmp_path, "tsk_2").house == "timmy"
    with pytest.raises(WardwrightError) as refused:
        find(tmp_path, "tsk_3")
    assert refused.value.code == "task_not_found"


@pytest.mark.parametrize("name", ["", "../up", "A", "a/b"])
def test_a_house_whose_name_is_no_name_has_no_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(WardwrightError):
        TaskStore(tmp_path, name)
