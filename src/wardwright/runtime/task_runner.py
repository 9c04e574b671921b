"""Running tasks: taken in, leased, carried out through the harness, settled.

Rule 1: before a task's next call is made, the journal is asked how far it is. What was completed is not made again, and
what was begun and has no end is not either (`harness.core.tasks`).
Rule 2: its end is a record of the journal, durable before the queue forgets what was asked: with it the receipts of its
calls are.
Rule 3: a lease outlasts everything that the task's calls may take. Should one be lost all the same, whoever has it
now settles what came of the task.
Rule 4: told to end, the runner begins nothing more and lets what runs go on for DRAIN_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, assert_never

import msgspec

from wardwright.calls.receipt import Caller, Sourced
from wardwright.contracts.tool import ToolContract
from wardwright.harness.call import Call
from wardwright.harness.core.modes import Mode
from wardwright.harness.core.receipt import ToolReceipt
from wardwright.harness.core.tasks import (
    ENDED,
    Again,
    Begin,
    Finished,
    Over,
    Stranded,
    Task,
    TaskEnded,
    Waits,
    Went,
    lane_of,
    meaning,
    standing,
)
from wardwright.journal.approvals import Approval
from wardwright.journal.entry import Entry
from wardwright.journal.work_queue import Bounds, Lease, Work
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock, Luck
from wardwright.limits.backoff import SPREAD_BITS, delay_s
from wardwright.runtime.control import durably
from wardwright.runtime.supervisor import Supervisor
from wardwright.runtime.task_store import ADDED, DROPPED, TaskStore, calls_of, encoded, houses_with_tasks, task_in
from wardwright.runtime.tool_runtime import ToolRuntime
from wardwright.storage.lock import Holder
from wardwright.storage.work_queue import SqliteWorkQueue, stored_jobs

BOUNDS: Final = Bounds(dead_max=10_000, done_max=10_000, waiting_max=10_000)
DRAIN_S: Final = 30.0
LONGEST_WAIT_S: Final = 3_600.0
LOOK_S: Final = 0.2
"""How often the folders are looked at in which tasks are left."""
PAUSE_S: Final = 1.0
"""Before a task is looked at again that waits for another one, or for a person."""
VISIBLE_SLACK_S: Final = 60.0
"""How much longer than its calls may take a task is leased for."""

Outcome = Literal["done", "dead", "dropped"]

log = logging.getLogger("wardwright.tasks")


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner tells of a task that ended."""

    id: str
    house: str
    outcome: Outcome
    attempts: int
    receipts: tuple[str, ...]
    why: str


class TaskRunner:
    """Runs the tasks of some houses. Construct, `open` on the loop, `run`, `aclose`."""

    def __init__(
        self,
        runtime: ToolRuntime,
        stores: Sequence[TaskStore],
        *,
        clock: Clock,
        luck: Luck,
        told: Callable[[Settled], None],
        pid: int,
        parallel: int = 1,
    ) -> None:
        """`told` hears of each task that ends; `runtime` is open."""
        self._bell = asyncio.Event()
        """Rung when there may be something to do."""
        self._blocked: set[str] = set()
        """Tasks that wait for another one that may still end well."""
        self._busy: set[str] = set()
        self._clock = clock
        self._houses = [_House(store, clock) for store in stores]
        self._luck = luck
        self._parallel = parallel
        self._pid = pid
        self._runtime = runtime
        self._seen: dict[str, list[ToolReceipt]] = {}
        """Receipts of tasks under way that may not lie on disk yet."""
        self._stopping = False
        self._supervisor = Supervisor(self._report)
        self._told = told

    @property
    def waiting(self) -> int:
        """Tasks that are not settled."""
        return sum(house.unfinished for house in self._houses)

    def open(self) -> None:
        """Take the queues. Raises `tasks_held` where another process runs one of the houses, and `queue_broken`."""
        opened: list[_House] = []
        try:
            for house in self._houses:
                house.open(self._pid)
                opened.append(house)
        except BaseException:
            for house in opened:
                house.close()
            raise

    async def run(self, *, once: bool = False) -> None:
        """Work until `stop`, or, `once`, until nothing is due and nothing runs. Raises nothing of the tasks' own."""
        workers = [self._supervisor.spawn(self._work()) for _ in range(self._parallel)]
        try:
            while not self._stopping:
                for house in tuple(self._houses):
                    await house.take_in()
                self._bell.set()
                if once and await self._idle():
                    return
                await asyncio.sleep(LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await asyncio.wait(workers)
        finally:
            self._stopping = True
            self._bell.set()
            await self._supervisor.aclose()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._bell.set()

    async def aclose(self) -> None:
        """Give the queues back, durable."""
        for house in self._houses:
            await house.queue.drain()
            await asyncio.to_thread(house.close)

    # -- one worker ----------------------------------------------------------------------------------------------------

    async def _idle(self) -> bool:
        await asyncio.sleep(0)
        now_us = self._clock.now_us()
        due = any((at := house.queue.next_due(house.lane)) is not None and at <= now_us for house in self._houses)
        runs = any(house.queue.stats(house.lane).leased for house in self._houses)
        return not (due or runs or self._blocked)

    async def _work(self) -> None:
        while not self._stopping:
            self._bell.clear()
            if not await self._one_of_all():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._bell.wait()

    def _pause_s(self) -> float | None:
        instants = [at for house in self._houses if (at := house.queue.next_due(house.lane)) is not None]
        return max(0.0, (min(instants) - self._clock.now_us()) / 1_000_000) if instants else None

    async def _one_of_all(self) -> bool:
        """Take one task of any house and bring it forward; False where none is due."""
        for house in tuple(self._houses):
            lease = await house.queue.lease(house.lane, visible_s=house.visible_s(self._visible_s))
            if lease is None:
                continue
            self._houses.sort(key=lambda one: one is house)  # the others come first next time
            await self._lead(house, lease)
            return True
        return False

    async def _lead(self, house: _House, lease: Lease) -> None:
        id_ = lease.job.key
        if id_ in self._busy:  # its lease ran out while we are at it
            house.queue.release(lease, delay_s=PAUSE_S)
            return
        self._busy.add(id_)
        try:
            await self._carry(house, lease)
        except asyncio.CancelledError:
            house.queue.release(lease)
            raise
        except WardwrightError as error:
            if error.code != "lease_lost":
                self._report(error)
                house.queue.release(lease, delay_s=PAUSE_S)
        except Exception as defect:  # ours: the next attempt would meet it too
            self._report(defect)
            await house.queue.dead(lease, f"a defect: {type(defect).__name__}: {defect}")
        finally:
            self._busy.discard(id_)

    async def _carry(self, house: _House, lease: Lease) -> None:
        try:
            task = task_in(lease.job)
            assert task is not None
        except (msgspec.MsgspecError, AssertionError):
            await self._end(house, lease, "dead", (), "what was asked for cannot be read")
            return
        if task.id in house.dropped:
            await self._end(house, lease, "dropped", (), "dropped before it was done")
            return
        if lease.job.attempts > task.attempts_max:
            await self._end(
                house, lease, "dead", (), f"begun {task.attempts_max} times, and its runner ended each time"
            )
            return
        if task.after is not None and not await self._may_follow(house, lease, task.after):
            return
        ended, opened = await asyncio.to_thread(calls_of, self._runtime.reader, task.id, task.added_at)
        while not self._stopping:
            found = standing(task, (*ended, *self._seen.get(task.id, ())), opened)
            match found:
                case Finished():
                    await self._end(house, lease, "done", found.receipts, "")
                    return
                case Stranded():
                    why = (
                        f"`{found.tool}` was under way when a runner ended: nobody knows what became of {found.receipt}"
                    )
                    await self._end(house, lease, "dead", found.receipts, why)
                    return
                case Begin():
                    if not await self._step(house, lease, task, found):
                        return
                case _:
                    assert_never(found)
        house.queue.release(lease)

    async def _step(self, house: _House, lease: Lease, task: Task, at: Begin) -> bool:
        """Make the next call; whether the task goes on at once."""
        if at.approval is not None and self._undecided(at.approval):
            house.queue.release(lease, delay_s=PAUSE_S)
            return False
        ended = await self._runtime.call(_call(task, at))
        self._seen.setdefault(task.id, []).append(ended.receipt)
        said = "" if ended.error is None else ended.error.message
        found = meaning(task, ended.receipt, said, lease.job.attempts)
        match found:
            case Went():
                return True
            case Waits():
                log.info("task %s waits for the approval %s", task.id, found.approval)
                house.queue.release(lease, delay_s=PAUSE_S)
            case Again():
                draw = self._luck.bits(SPREAD_BITS)
                wait_s = delay_s(
                    lease.job.attempts,
                    draw,
                    first_s=task.wait_ms / 1000,
                    longest_s=max(LONGEST_WAIT_S, task.wait_ms / 1000),
                )
                await house.queue.retry(lease, delay_s=wait_s, why=found.why)
            case Over():
                await self._end(house, lease, "dead", at.receipts, found.why)
            case _:
                assert_never(found)
        return False

    async def _may_follow(self, house: _House, lease: Lease, before: str) -> bool:
        """Whether the task that must come first has ended well; what follows from it where it has not."""
        match await asyncio.to_thread(self._state_of, before):
            case "done":
                self._blocked.discard(lease.job.key)
                return True
            case "coming":
                self._blocked.add(lease.job.key)
                house.queue.release(lease, delay_s=PAUSE_S)
            case "gone":
                self._blocked.discard(lease.job.key)
                await self._end(
                    house, lease, "dead", (), f"the task {before} did not end well, or is not known any more"
                )
        return False

    def _state_of(self, id_: str) -> Literal["done", "coming", "gone"]:
        state = self._runtime.state
        for name in houses_with_tasks(state):
            store = TaskStore(state, name)
            if id_ in store.dropped():
                return "gone"
            waits = store.spool.read(id_ + ADDED) is not None
            job = next((one for one in stored_jobs(store.queue_file) if one.key == id_), None)
            if job is not None and job.state_name in ("done", "dead"):
                return "done" if job.state_name == "done" else "gone"
            if job is not None or waits:
                return "coming"
        return "gone"

    def _undecided(self, approval: str) -> bool:
        try:
            found: Approval = self._runtime.approvals.find(approval)
        except WardwrightError:
            return False
        return found.status(self._clock.now_us()) == "pending"

    async def _end(self, house: _House, lease: Lease, outcome: Outcome, receipts: tuple[str, ...], why: str) -> None:
        attempts = lease.job.attempts
        data = TaskEnded(
            attempts=attempts, house=house.store.house, outcome=outcome, receipts=receipts, task=lease.job.key, why=why
        )
        entry = Entry(ENDED, data, at=self._clock.now_us(), actor="tasks")
        try:
            await durably(self._runtime.writer, (entry,))
        except WardwrightError as failure:
            log.error("the end of task %s is not in the journal: %s", lease.job.key, failure)
        match outcome:
            case "done":
                await house.queue.ack(lease, " ".join(receipts))
            case "dead":
                await house.queue.dead(lease, why)
            case "dropped":
                await house.queue.dead(lease, why)
                await house.queue.drop(house.lane, lease.job.key)
        house.forget(lease.job.key)
        self._blocked.discard(lease.job.key)
        self._seen.pop(lease.job.key, None)
        self._told(
            Settled(
                id=lease.job.key,
                house=house.store.house,
                outcome=outcome,
                attempts=attempts,
                receipts=receipts,
                why=why,
            )
        )

    def _visible_s(self, task: Task) -> float:
        """What all of its calls may take together."""
        return sum(self._call_s(call.tool) for call in task.calls) + VISIBLE_SLACK_S

    def _call_s(self, tool: str, depth: int = 0) -> float:
        served = self._runtime.shop.shelf.find(tool)
        if served is None:
            return 0.0
        contract: ToolContract = served.contract
        other = contract.degrade
        return contract.timeout_s + (self._call_s(other, depth + 1) if other is not None and depth < 8 else 0.0)

    def _report(self, defect: BaseException) -> None:
        log.error("defect: %s: %s", type(defect).__name__, defect, exc_info=defect)


class _House:
    """One house whose tasks are run here."""

    def __init__(self, store: TaskStore, clock: Clock) -> None:
        self.dropped: frozenset[str] = frozenset()
        self.lane = lane_of(store.house)
        self.queue = SqliteWorkQueue(
            store.queue_file, clock=clock, bounds={self.lane: BOUNDS}, on_failure=_queue_changed
        )
        self.store = store
        self._longest_s = VISIBLE_SLACK_S
        self._measured: set[str] = set()
        self._taking: set[str] = set()
        """Files whose tasks are in the queue and not durable there."""

    @property
    def unfinished(self) -> int:
        stats = self.queue.stats(self.lane)
        return stats.waiting + stats.leased

    def open(self, pid: int) -> None:
        try:
            self.store.lock.take(Holder(pid=pid))
        except WardwrightError as error:
            raise WardwrightError(
                "tasks_held",
                f"another process runs the tasks of `{self.store.house}`: {error.message}",
                place=error.place,
                hint="tasks that are added reach it; to run them here, stop it",
            ) from error
        try:
            self.queue.open(asyncio.get_running_loop())
        except BaseException:
            self.store.lock.drop()
            raise

    def close(self) -> None:
        try:
            self.queue.close()
        finally:
            self.store.lock.drop()

    def visible_s(self, of: Callable[[Task], float]) -> float:
        """How long a lease of this lane holds: long enough for the longest of its tasks."""
        for job in self.queue.jobs(self.lane):
            if job.key not in self._measured and job.payload:
                self._measured.add(job.key)
                with contextlib.suppress(msgspec.MsgspecError):
                    task = task_in(job)
                    self._longest_s = max(self._longest_s, 0.0 if task is None else of(task))
        return self._longest_s

    async def take_in(self) -> None:
        """Put what was added into the queue; a file goes once its task is durable there."""
        for task in self.store.added():
            name = task.id + ADDED
            if name in self._taking:
                continue
            work = Work(due_at=task.line_at, key=task.id, lane=self.lane, payload=encoded(task), ref=task.title[:200])
            match self.queue.put(work, on_durable=partial(self._taken, name)):
                case "taken":
                    self._taking.add(name)
                case "duplicate":
                    self.store.spool.remove(name)  # a runner took it in, and ended before it could remove this
                case "full":
                    break
        self.dropped = self.store.dropped()
        for id_ in self.dropped:
            job = next((one for one in self.queue.jobs(self.lane) if one.key == id_), None)
            if job is not None and job.state_name == "dead":
                await self.queue.drop(self.lane, id_)
            if job is None or job.state_name in ("done", "dead"):
                self.forget(id_)

    def _taken(self, name: str, failure: Exception | None, /) -> None:
        self._taking.discard(name)
        if failure is None:
            self.store.spool.remove(name)

    def forget(self, id_: str) -> None:
        """Nothing is left to be dropped."""
        self.store.spool.remove(id_ + DROPPED)
        self.dropped -= {id_}


def _queue_changed(failure: Exception | None) -> None:
    if failure is None:
        log.warning("the queue of tasks can be written again")
    else:
        log.error("the queue of tasks cannot be written: %s; a crash would now repeat or lose some", failure)


def stores_of(state: Path, house: str | None, houses: Sequence[str]) -> list[TaskStore]:
    """Those of one house, else of every house that there is."""
    names = [house] if house is not None else sorted({*houses, *houses_with_tasks(state)})
    return [TaskStore(state, name) for name in names]


def _call(task: Task, at: Begin) -> Call:
    call = task.calls[at.step]
    return Call(
        approval=at.approval,
        arguments=call.arguments,
        caller=Caller(
            house=Sourced("trusted_auth", task.house),
            run=Sourced("trusted_auth", task.run or task.id),
            session=Sourced("trusted_auth", task.id),
        ),
        evidence=task.evidence,
        mode=Mode(task.mode),
        plan=task.plan,
        tool=call.tool,
    )
