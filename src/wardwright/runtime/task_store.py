"""Where the tasks of a house lie, and how they get there.

```
tasks-<house>.sqlite     the work queue with the lane `tasks/<house>`
tasks-<house>.lock       held by the process that runs them
tasks/<house>/<id>.task  added, and not taken in yet
tasks/<house>/<id>.drop  shall not be done any more
```

Rule 1: one process at a time holds a house's queue. A file for each house, and not one for all, lets the runners of
several houses work side by side, each a service of its own; a queue is decided in the memory of one process.
Rule 2: whoever adds or drops a task leaves a file, whether a runner is there or not. Adding takes no lock, cannot be
refused because somebody runs tasks just then, and has one way to go wrong instead of two. The file's name is the task's
id and so its key in the queue: taken in twice it is still one task.
Rule 3: listing reads, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.contracts.model import Name
from wardwright.harness.core.receipt import Opened, ToolReceipt
from wardwright.harness.core.rows import opened_in, receipt_in
from wardwright.harness.core.tasks import Task
from wardwright.journal.record import read
from wardwright.journal.store import Cursor
from wardwright.journal.work_queue import Dead, Done, Job, Leased, Waiting
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.tool_runtime import SLOT_PREFIX
from wardwright.storage.lock import Lock, held
from wardwright.storage.reader import SegmentReader
from wardwright.storage.spool import Spool
from wardwright.storage.work_queue import stored_jobs

ADDED: Final = ".task"
DROPPED: Final = ".drop"

TaskState: TypeAlias = Literal["added", "waiting", "running", "done", "dead", "dropped"]
"""`added`: no runner has taken it in; `dropped`: it will not be begun any more."""

_decode = msgspec.json.Decoder(Task).decode
_encode = msgspec.json.Encoder().encode


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """One task as people see it."""

    id: str
    house: str
    state: TaskState
    attempts: int
    tools: str
    """Those that it calls, in order."""
    note: str
    """How it went, or why not: receipts, or the last failure."""
    added_at: int
    """µs since the epoch."""
    due_at: int | None
    """µs since the epoch: when it is next begun; null where it is not."""
    task: Task | None
    """What shall be done; null for one that is done."""


class TaskStore:
    """The files of one house."""

    def __init__(self, state: Path, house: str) -> None:
        """Raises `usage` for what is no name of a house."""
        try:
            msgspec.convert(house, Name)
        except msgspec.ValidationError as error:
            raise WardwrightError("usage", f"`{house[:80]}` is no name of a house") from error
        self.house = house
        self.lock = Lock(state / f"tasks-{house}.lock")
        self.queue_file = state / f"tasks-{house}.sqlite"
        self.spool = Spool(state / "tasks" / house)

    def add(self, task: Task) -> None:
        """Durable when this returns. Raises `tasks_full`."""
        self.spool.leave(task.id + ADDED, _encode(task))

    def drop(self, id_: str) -> None:
        """Have a task not begun any more. Raises `tasks_full`."""
        self.spool.leave(id_ + DROPPED, b"")

    def added(self) -> Iterator[Task]:
        """Tasks that no runner has taken in, oldest first. What somebody else put there is left alone."""
        for name in self.spool.names():
            if name.endswith(ADDED) and (content := self.spool.read(name)) is not None:
                try:
                    task = _decode(content)
                except msgspec.MsgspecError:
                    continue
                if task.id + ADDED == name and task.house == self.house:
                    yield task

    def dropped(self) -> frozenset[str]:
        """The ids of tasks that shall not be begun any more."""
        return frozenset(name.removesuffix(DROPPED) for name in self.spool.names() if name.endswith(DROPPED))

    def views(self) -> tuple[TaskView, ...]:
        """Every task that is held or remembered, in the order in which they were added. Raises `queue_broken`."""
        added = {task.id: task for task in self.added()}  # first: what is taken in meanwhile stands in the queue
        dropped = self.dropped()
        runs = held(self.lock.path)
        found = {job.key: _view(job, self.house, dropped, runs) for job in stored_jobs(self.queue_file)}
        for id_, task in added.items():
            found.setdefault(id_, _fresh(task, dropped))
        return tuple(found[id_] for id_ in sorted(found))


def houses_with_tasks(state: Path) -> tuple[str, ...]:
    """Those that have tasks in a state directory, sorted."""
    queues = {path.name.removeprefix("tasks-").removesuffix(".sqlite") for path in state.glob("tasks-*.sqlite")}
    spools = {path.name for path in (state / "tasks").glob("*") if path.is_dir()}
    return tuple(sorted(queues | spools))


def all_views(state: Path, houses: Iterable[str]) -> tuple[TaskView, ...]:
    return tuple(view for house in houses for view in TaskStore(state, house).views())


def find(state: Path, id_: str) -> TaskView:
    """Raises `task_not_found`."""
    found = [one for one in all_views(state, houses_with_tasks(state)) if one.id == id_]
    if not found:
        raise WardwrightError(
            "task_not_found", f"no task has the id `{id_[:64]}`", hint="`wardwright task list` shows them"
        )
    return found[0]


def task_in(job: Job) -> Task | None:
    """What a job asks for; None for one that is done."""
    return _decode(job.payload) if job.payload else None


def encoded(task: Task) -> bytes:
    return _encode(task)


def calls_of(reader: SegmentReader, task: str, since_us: int) -> tuple[tuple[ToolReceipt, ...], tuple[Opened, ...]]:
    """The receipts of a task's calls, and what was opened, as they lie on disk. Blocks: reads what was written since.

    Raises `journal_broken`.
    """
    needle = f'"{task}"'.encode()
    ended: list[ToolReceipt] = []
    opened: list[Opened] = []
    for key in reader.chains():
        if key.chain != "calls" or SLOT_PREFIX not in key.writer:
            continue
        begin = 0
        for segment in reversed(reader.segments(key)):
            first = next(iter(reader.lines(key, Cursor(segment, 0))), None)
            begin = segment
            if first is not None and first.whole and read(first.text).at < since_us:
                break
        for line in reader.lines(key, Cursor(begin, 0)):
            if not line.whole or needle not in line.text:
                continue
            record = read(line.text)
            receipt, begun = receipt_in(record), opened_in(record)
            if receipt is not None and _of(receipt, task):
                ended.append(receipt)
            elif begun is not None and _of(begun, task):
                opened.append(begun)
    return tuple(ended), tuple(opened)


def _of(one: ToolReceipt | Opened, task: str) -> bool:
    return one.caller.session is not None and one.caller.session.value == task


def _fresh(task: Task, dropped: frozenset[str]) -> TaskView:
    gone = task.id in dropped
    return TaskView(
        id=task.id,
        house=task.house,
        state="dropped" if gone else "added",
        attempts=0,
        tools=task.title,
        note="",
        added_at=task.added_at,
        due_at=None if gone else max(task.due_at, task.added_at),
        task=task,
    )


def _view(job: Job, house: str, dropped: frozenset[str], runs: bool) -> TaskView:
    """`runs`: there is a process that holds the queue; without one, a lease is void."""
    due_at: int | None = None
    state: TaskState
    match job.state:
        case Waiting():
            state, due_at = "waiting", job.state.due_at
        case Leased():
            state = "running" if runs else "waiting"
        case Done():
            state = "done"
        case Dead():
            state = "dead"
        case _:
            assert_never(job.state)
    if job.key in dropped and state in ("waiting", "dead"):
        state, due_at = "dropped", None
    return TaskView(
        id=job.key,
        house=house,
        state=state,
        attempts=job.attempts,
        tools=job.ref,
        note=job.note,
        added_at=job.put_at,
        due_at=due_at,
        task=task_in(job),
    )
