"""The conformance kit of work queues, one case a promise.

Run it over your own queue, from any test runner:

    @pytest.mark.parametrize("case", work_queue_kit.CASES, ids=str)
    def test_my_queue(case):
        case.run(lambda setting: MySubject(setting))

Rule 1: a case speaks to a `Subject`, which outlives its queues as a state directory does.
Rule 2: nothing sleeps: time is the subject's `HandClock`, and what is awaited is the queue's own durability.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

import msgspec

from wardwright.journal.work_queue import (
    PAYLOAD_BYTES_MAX,
    Bounds,
    Dead,
    Done,
    Lease,
    Waiting,
    Work,
    WorkDesk,
    WorkQueue,
)
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.units import SECOND_US
from wardwright.testing.determinism import HandClock

LANE: Final = "kit"
VISIBLE_S: Final = 30.0


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a case asks of its subject."""

    bounds: Bounds = Bounds()
    """Of every lane the case uses."""


class Queue(WorkQueue, WorkDesk, Protocol):
    """Both sides of one queue."""


class Subject(Protocol):
    """A queue under test. At most one is open at a time."""

    @property
    def clock(self) -> HandClock: ...

    def open(self) -> Queue:
        """A queue over the jobs that are there."""
        ...

    def close(self) -> None:
        """Close the open queue in good order, once it is drained."""
        ...

    def kill(self) -> None:
        """End the open queue as a process does that is killed; what was told durable stays."""
        ...


Play: TypeAlias = Callable[[Subject], Awaitable[None]]


class Case:
    """One promise."""

    def __init__(self, name: str, setting: Setting, play: Play) -> None:
        self.name = name
        self._setting = setting
        self._play = play

    def __str__(self) -> str:
        return self.name

    def run(self, make: Callable[[Setting], Subject]) -> None:
        """Raises AssertionError where the promise is broken."""

        async def played() -> None:
            subject = make(self._setting)
            try:
                await self._play(subject)
            finally:
                subject.kill()

        asyncio.run(played())


CASES: Final[list[Case]] = []


def _case(setting: Setting = Setting()) -> Callable[[Play], Play]:  # noqa: B008  # frozen
    def add(play: Play) -> Play:
        name = getattr(play, "__name__", "").replace("_", " ")
        CASES.append(Case(name, setting, play))
        return play

    return add


def work(key: str, *, lane: str = LANE, payload: bytes = b"payload", ref: str = "") -> Work:
    return Work(key=key, lane=lane, payload=payload, ref=ref)


async def leased(queue: Queue, lane: str = LANE, *, visible_s: float = VISIBLE_S) -> Lease:
    lease = await queue.lease(lane, visible_s=visible_s)
    assert lease is not None, "a job is due, and the queue has none"
    return lease


async def lasting(queue: Queue, one: Work) -> None:
    """Put a job and wait until it is durable."""
    told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    assert queue.put(one, on_durable=told.set_result) == "taken"
    assert await asyncio.wait_for(told, 30) is None


async def refused(settle: Awaitable[None]) -> None:
    code = "none"
    try:
        await settle
    except WardwrightError as error:
        code = error.code
    assert code == "lease_lost", "a lease that was lost settled the job"


@_case()
async def jobs_are_leased_in_the_order_of_puts(subject: Subject) -> None:
    queue = subject.open()
    for key in ("c", "a", "b"):
        assert queue.put(work(key)) == "taken"
    assert [(await leased(queue)).job.key for _ in range(3)] == ["c", "a", "b"]
    assert await queue.lease(LANE, visible_s=VISIBLE_S) is None


@_case()
async def a_job_comes_out_as_it_was_put(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a", payload=b"\x00\xff", ref="rcp_1"))
    job = (await leased(queue)).job
    assert (job.key, job.lane, job.payload, job.ref, job.attempts) == ("a", LANE, b"\x00\xff", "rcp_1", 1)
    assert job.put_at == subject.clock.now_us()


@_case()
async def a_lane_knows_nothing_of_another(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a", lane="one"))
    assert queue.put(work("a", lane="two")) == "taken"
    assert await queue.lease(LANE, visible_s=VISIBLE_S) is None
    assert (await leased(queue, "two")).job.lane == "two"
    assert queue.stats("one").waiting == 1


@_case()
async def a_key_is_taken_once(subject: Subject) -> None:
    queue = subject.open()
    assert queue.put(work("a")) == "taken"
    assert queue.put(work("a", payload=b"other")) == "duplicate"
    lease = await leased(queue)
    assert queue.put(work("a")) == "duplicate"
    await queue.ack(lease)
    assert queue.put(work("a")) == "duplicate"
    assert await queue.lease(LANE, visible_s=VISIBLE_S) is None


@_case()
async def a_finished_key_is_known_after_a_restart(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    await queue.ack(await leased(queue), "HTTP 204")
    await queue.drain()
    subject.close()
    again = subject.open()
    assert again.put(work("a")) == "duplicate"
    (job,) = again.jobs(LANE)
    assert (job.state_name, job.note, job.payload) == ("done", "HTTP 204", b"")


@_case(Setting(bounds=Bounds(done_max=2)))
async def the_oldest_finished_key_is_forgotten_first(subject: Subject) -> None:
    queue = subject.open()
    for key in ("a", "b", "c"):
        queue.put(work(key))
        await queue.ack(await leased(queue))
        subject.clock.advance(1)
    await queue.drain()
    subject.close()
    again = subject.open()
    assert [job.key for job in again.jobs(LANE)] == ["b", "c"]
    assert again.put(work("a")) == "taken"


@_case(Setting(bounds=Bounds(waiting_max=2)))
async def a_full_lane_refuses_until_a_job_is_finished(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    queue.put(work("b"))
    assert queue.put(work("c")) == "full"
    assert queue.put(work("c", lane="other")) == "taken"
    lease = await leased(queue)
    assert queue.put(work("c")) == "full", "a job that is worked on is unfinished"
    await queue.ack(lease)
    assert queue.put(work("c")) == "taken"


@_case()
async def a_payload_that_is_too_large_is_refused(subject: Subject) -> None:
    queue = subject.open()
    assert queue.put(work("a", payload=bytes(PAYLOAD_BYTES_MAX + 1))) == "full"
    assert queue.put(work("a", payload=bytes(PAYLOAD_BYTES_MAX))) == "taken"


@_case()
async def a_retried_job_waits_for_its_delay_and_says_why(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    await queue.retry(await leased(queue), delay_s=5, why="HTTP 503")
    assert queue.next_due(LANE) == subject.clock.now_us() + 5 * SECOND_US
    assert await queue.lease(LANE, visible_s=VISIBLE_S) is None
    subject.clock.advance(5 * SECOND_US)
    job = (await leased(queue)).job
    assert (job.attempts, job.note) == (2, "HTTP 503")


@_case()
async def a_job_that_is_due_later_lets_others_pass(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    await queue.retry(await leased(queue), delay_s=5, why="later")
    queue.put(work("b"))
    assert (await leased(queue)).job.key == "b"


@_case()
async def a_lease_that_ran_out_is_given_to_another_with_a_larger_token(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    first = await leased(queue, visible_s=10)
    subject.clock.advance(10 * SECOND_US - 1)
    assert await queue.lease(LANE, visible_s=10) is None
    subject.clock.advance(1)
    second = await leased(queue, visible_s=10)
    assert second.token > first.token
    assert second.job.attempts == 2
    await refused(queue.ack(first))
    await refused(queue.retry(first, delay_s=0, why=""))
    await refused(queue.dead(first, ""))
    await queue.ack(second)


@_case()
async def a_lease_that_ran_out_and_was_not_overtaken_still_settles(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    lease = await leased(queue, visible_s=10)
    subject.clock.advance(11 * SECOND_US)
    await queue.ack(lease)
    assert isinstance(queue.jobs(LANE)[0].state, Done)


@_case()
async def a_settled_lease_settles_nothing_more(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    lease = await leased(queue)
    await queue.ack(lease)
    await refused(queue.ack(lease))
    await refused(queue.dead(lease, "late"))


@_case()
async def a_job_that_is_given_back_was_not_tried(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    lease = await leased(queue)
    queue.release(lease)
    again = await leased(queue)
    assert again.job.attempts == 1
    queue.release(lease)
    assert queue.stats(LANE).leased == 1, "a lease that was lost gives nothing back"


@_case()
async def a_job_whose_taker_leaves_before_the_lease_lasts_was_not_tried(subject: Subject) -> None:
    queue = subject.open()
    await lasting(queue, work("a"))
    left = False
    try:
        async with asyncio.timeout(0):
            await queue.lease(LANE, visible_s=VISIBLE_S)
    except TimeoutError:
        left = True
    assert left, "a lease was handed out before it could last"
    assert (await leased(queue)).job.attempts == 1, "a lease that nobody holds keeps the job, or counts as an attempt"


@_case()
async def a_job_that_is_given_back_may_rest_first(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    queue.release(await leased(queue), delay_s=5)
    assert await queue.lease(LANE, visible_s=30) is None
    subject.clock.advance(5_000_000)
    assert (await leased(queue)).job.attempts == 1


@_case()
async def a_job_is_not_due_before_its_time_and_stands_in_line_by_it(subject: Subject) -> None:
    queue = subject.open()
    now_us = subject.clock.now_us()
    queue.put(msgspec.structs.replace(work("later"), due_at=now_us + 5_000_000))
    queue.put(work("now"))
    queue.put(msgspec.structs.replace(work("urgent"), due_at=now_us - 60_000_000))
    assert [(await leased(queue)).job.key for _ in range(2)] == ["urgent", "now"]
    assert await queue.lease(LANE, visible_s=30) is None
    subject.clock.advance(5_000_000)
    assert (await leased(queue)).job.key == "later"


@_case()
async def a_put_that_was_told_durable_survives_a_kill(subject: Subject) -> None:
    queue = subject.open()
    await lasting(queue, work("a", ref="rcp_1"))
    subject.kill()
    job = (await leased(subject.open())).job
    assert (job.key, job.ref, job.attempts) == ("a", "rcp_1", 1)


@_case()
async def a_kill_between_lease_and_ack_leads_to_another_lease_and_the_old_token_is_refused(subject: Subject) -> None:
    queue = subject.open()
    await lasting(queue, work("a"))
    stale = await leased(queue, visible_s=3600)
    subject.kill()
    again = subject.open()
    fresh = await leased(again)
    assert (fresh.job.attempts, fresh.token > stale.token) == (2, True)
    await refused(again.ack(stale))
    await again.ack(fresh)


@_case()
async def a_kill_after_an_ack_delivers_nothing_twice(subject: Subject) -> None:
    queue = subject.open()
    await lasting(queue, work("a"))
    await queue.ack(await leased(queue))
    subject.kill()
    again = subject.open()
    assert await again.lease(LANE, visible_s=VISIBLE_S) is None
    assert again.put(work("a")) == "duplicate"


@_case()
async def order_delays_and_deaths_survive_a_restart(subject: Subject) -> None:
    queue = subject.open()
    for key in ("a", "b", "c", "d"):
        queue.put(work(key))
    await queue.retry(await leased(queue), delay_s=60, why="later")
    await queue.dead(await leased(queue), "refused")
    await queue.drain()
    subject.close()
    again = subject.open()
    for key in ("c", "d"):
        lease = await leased(again)
        assert lease.job.key == key
        await again.ack(lease)
    assert await again.lease(LANE, visible_s=VISIBLE_S) is None
    subject.clock.advance(60 * SECOND_US)
    assert (await leased(again)).job.key == "a"
    assert [job.note for job in again.jobs(LANE) if isinstance(job.state, Dead)] == ["refused"]


@_case()
async def many_workers_never_hold_one_job_together(subject: Subject) -> None:
    queue = subject.open()
    for number in range(40):
        queue.put(work(f"{number}"))
    held: set[str] = set()
    done: list[str] = []

    async def worker() -> None:
        while (lease := await queue.lease(LANE, visible_s=VISIBLE_S)) is not None:
            assert lease.job.key not in held, "two workers hold one job"
            held.add(lease.job.key)
            await asyncio.sleep(0)
            await queue.ack(lease)
            held.discard(lease.job.key)
            done.append(lease.job.key)

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(worker())
    assert sorted(done) == sorted(str(number) for number in range(40))
    assert (queue.stats(LANE).done, queue.stats(LANE).waiting) == (40, 0)


@_case()
async def a_dead_job_waits_for_a_person(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    await queue.dead(await leased(queue), "HTTP 410")
    assert await queue.lease(LANE, visible_s=VISIBLE_S) is None
    (job,) = queue.jobs(LANE)
    assert (job.state, job.note, job.payload) == (Dead(at=subject.clock.now_us()), "HTTP 410", b"payload")
    assert queue.put(work("a")) == "duplicate"
    assert await queue.revive(LANE, "a")
    assert queue.jobs(LANE)[0].state == Waiting(due_at=subject.clock.now_us())
    lease = await leased(queue)
    assert lease.job.attempts == 1, "its earlier attempts are forgotten"
    await queue.dead(lease, "again")
    assert await queue.drop(LANE, "a")
    assert queue.jobs(LANE) == ()


@_case()
async def only_a_dead_job_is_revived_or_dropped(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    for key in ("a", "unknown"):
        assert not await queue.revive(LANE, key)
        assert not await queue.drop(LANE, key)
    assert queue.stats(LANE).waiting == 1


@_case(Setting(bounds=Bounds(dead_max=3)))
async def a_lane_that_is_given_up_has_dead_jobs_alone_and_says_why(subject: Subject) -> None:
    queue = subject.open()
    for key in ("held", "rests", "a", "b", "c"):
        queue.put(work(key))
    queue.put(work("far", lane="other"))
    held = await leased(queue)
    await queue.retry(await leased(queue), delay_s=60, why="later")
    await leased(queue, visible_s=1)
    subject.clock.advance(SECOND_US)
    assert await queue.give_up(LANE, "nobody is there") == 4
    subject.kill()
    again = subject.open()
    dead = {job.key: job.note for job in again.jobs(LANE) if isinstance(job.state, Dead)}
    assert dead == dict.fromkeys(("a", "c", "rests"), "nobody is there"), "due or not, and the oldest makes room"
    assert (await leased(again)).job.key == held.job.key, "what somebody works on is left to them"
    assert again.stats("other").waiting == 1


@_case(Setting(bounds=Bounds(dead_max=1, waiting_max=1)))
async def a_buried_job_is_dead_from_the_start_and_the_dead_are_bounded(subject: Subject) -> None:
    queue = subject.open()
    queue.put(work("a"))
    assert queue.bury(work("b"), "the lane is full") == "taken"
    assert queue.bury(work("b"), "again") == "duplicate"
    assert queue.bury(work("c"), "the lane is full") == "full"
    assert not await queue.revive(LANE, "b"), "there is no room among those that wait"
    await queue.dead(await leased(queue), "worse")
    assert [job.key for job in queue.jobs(LANE)] == ["a"], "the oldest dead job makes room"


@_case()
async def a_queue_that_drains_takes_nothing_new_and_loses_nothing(subject: Subject) -> None:
    queue = subject.open()
    for number in range(20):
        queue.put(work(f"{number}"))
    await queue.drain()
    assert queue.put(work("late")) == "full"
    assert queue.bury(work("late"), "") == "full"
    subject.kill()
    assert subject.open().stats(LANE).waiting == 20
