"""Alerts: raised by a call in microseconds, delivered by workers of their own.

Rule 1: raising never waits. It puts a job into the work queue, whose lane is bounded, and says at once what became of
it; what happens where a lane is full is the sink's `on_full`.
Rule 2: each sink has its own lane and its own workers: one that is slow or gone delays nobody else's alerts.
Rule 3: a sink that fails rests, longer each time; while it fails one alert probes it. Attempts are counted by alert,
and one that was refused, or failed `attempts_max` times, is a dead letter: kept until a person retries or drops it.
Rule 4: how a delivery went is told by its job in the queue, linked to the call's receipt, not by a record of the
journal. What a person does with dead letters is a record of the control chain.
Rule 5: an alert for which there is no room is counted, and the call's receipt says so: nothing goes missing in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, Protocol, assert_never

import msgspec

from wardwright.calls.alerts import Raised, RaisedAlert, letter_of
from wardwright.contracts.sink import SinkSettings
from wardwright.journal.entry import Entry, Writer
from wardwright.journal.sinks import Delivered, Later, Letter, Outcome, Refused, Sink
from wardwright.journal.work_queue import (
    Bounds,
    Dead,
    Done,
    Job,
    Lease,
    Leased,
    Stats,
    Waiting,
    Work,
    WorkDesk,
    WorkQueue,
)
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock, Luck
from wardwright.kernel.units import SECOND_US
from wardwright.limits.backoff import SPREAD_BITS, delay_s
from wardwright.runtime.control import durably

LANE_PREFIX: Final = "alerts/"
FIRST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 300.0
"""A sink's own wish (Retry-After) is bounded by this too."""
DEAD_MAX: Final = 1_000
DELIVERED_KEPT_MAX: Final = 1_000
"""Deliveries of one sink that are remembered, and by which a repeated alert is known."""
VISIBLE_SLACK_S: Final = 30.0
"""How much longer than its sink's timeout a delivery may take before another worker takes it over."""

RETRIED: Final = "alert.retried"
DROPPED: Final = "alert.dropped"


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of `alert.retried` and `alert.dropped`: what a person did with dead letters."""

    ids: tuple[str, ...]
    """The alerts' ids, sorted."""


class Queue(WorkQueue, WorkDesk, Protocol):
    """Both sides of the work queue."""


class SinkPulse(msgspec.Struct, frozen=True, kw_only=True):
    """How one sink fares."""

    dead_lettered: int
    """Since the start: refused, failed too often, or without room."""
    delivered: int
    """Since the start."""
    dropped: int
    """Since the start: without room, and forgotten."""
    failures: int
    """Attempts that failed since one went well; 0: the sink is well."""
    jobs: Stats
    name: str
    refused: int
    """Since the start: alerts whose calls were refused."""


class Alerts:
    """Every sink of one installation. Construct, `open` on the loop, `raise_`, `drain`, `aclose`.

    Implements `calls.alerts.Alerts` and `api.front.Alerts`.
    """

    def __init__(
        self,
        queue: Queue,
        sinks: Mapping[str, tuple[SinkSettings, Sink]],
        *,
        clock: Clock,
        luck: Luck,
        report: Callable[[Exception], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        writer: Writer,
        first_rest_s: float = FIRST_REST_S,
    ) -> None:
        """`spawn` starts a supervised task; `report` hears of defects in sinks."""
        self._clock = clock
        self._queue = queue
        self._sinks = {
            name: _Desk(queue, settings, sink, clock, luck, report, first_rest_s)
            for name, (settings, sink) in sinks.items()
        }
        self._spawn = spawn
        self._writer = writer

    @property
    def names(self) -> frozenset[str]:
        """The sinks that rules may name."""
        return frozenset(self._sinks)

    async def open(self) -> None:
        """Open every sink and start the workers. Raises what `Sink.open` raises."""
        await self._give_up_on_sinks_that_are_gone()
        for desk in self._sinks.values():
            await desk.sink.open()
        for desk in self._sinks.values():
            for _ in range(desk.settings.parallel_max):
                self._spawn(desk.work())

    async def _give_up_on_sinks_that_are_gone(self) -> None:
        lanes = {job.lane for job in self.jobs() if sink_of(job.lane) not in self._sinks}
        for lane in sorted(lanes):
            await self._queue.give_up(lane, f"the settings have no sink `{sink_of(lane)}` any more")

    def raise_(self, alert: RaisedAlert) -> Raised:
        """Hand an alert over for delivery. Belongs to the loop's thread; costs microseconds.

        Contracts that name a sink which is not there are refused when they are loaded. Should one be met all the same,
        its alert is a dead letter.
        """
        work = _work_of(alert)
        desk = self._sinks.get(alert.sink)
        if desk is not None:
            return desk.take(work)
        put = self._queue.bury(work, f"the settings have no sink `{alert.sink}`")
        return "dead_lettered" if put == "taken" else "duplicate" if put == "duplicate" else "dropped"

    def inherit(self, jobs: Iterable[Job]) -> None:
        """Take over what a worker that is no longer there has left: what waits is delivered, dead letters stay dead."""
        for job in alert_jobs(tuple(jobs)):
            work = Work(key=job.key, lane=job.lane, payload=job.payload, ref=job.ref)
            match job.state:
                case Waiting() | Leased():
                    if self._queue.put(work) == "full":
                        self._queue.bury(work, "the sink's queue was full")
                case Dead():
                    self._queue.bury(work, job.note)
                case Done():
                    pass
                case _:
                    assert_never(job.state)

    async def drain(self, bound_s: float) -> int:
        """Deliver what is due, for at most `bound_s`; how many alerts are left for the next start.

        Alerts may be raised meanwhile. Nothing waits for a sink that is failing: its alerts are durable.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(bound_s):
                for desk in self._sinks.values():
                    await desk.quiet()
        for desk in self._sinks.values():
            desk.stop()
        return sum(stats.waiting + stats.leased for stats in (desk.stats() for desk in self._sinks.values()))

    async def aclose(self) -> None:
        """Let no further delivery begin, and close the sinks.

        One that is under way goes on, and fails where its sink is closed; a worker that is cancelled gives its alert
        back.
        """
        for desk in self._sinks.values():
            desk.stop()
            await desk.sink.aclose()

    # -- for operators -------------------------------------------------------------------------------------------------

    def pulse(self) -> tuple[SinkPulse, ...]:
        return tuple(self._sinks[name].pulse() for name in sorted(self._sinks))

    def jobs(self) -> tuple[Job, ...]:
        """Every alert that waits, is dead or was delivered lately, of sinks that are gone too; oldest first."""
        return alert_jobs(self._queue.jobs())

    async def retry(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        """Let dead letters be delivered after all. Raises `alert_not_found` and `journal_write`."""
        return await self._settle(RETRIED, self._queue.revive, ids, by)

    async def drop(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        """Forget dead letters. Raises `alert_not_found` and `journal_write`."""
        return await self._settle(DROPPED, self._queue.drop, ids, by)

    async def _settle(
        self, kind: str, settle: Callable[[str, str], Coroutine[Any, Any, bool]], ids: frozenset[str], by: str
    ) -> tuple[str, ...]:
        dead = {job.key: job for job in self.jobs() if job.state_name == "dead"}
        for id_ in sorted(ids):
            if id_ not in dead:
                raise no_dead_letter(id_)
        entry = Entry(
            kind, Settled(ids=tuple(sorted(ids))), at=self._clock.now_us(), chain="control", actor=by
        )  # before the deed: who did it is known even where a crash follows
        await durably(self._writer, (entry,))
        done = [id_ for id_ in sorted(ids) if await settle(dead[id_].lane, id_)]
        for desk in self._sinks.values():
            desk.ring()
        return tuple(done)


def no_dead_letter(id_: str) -> WardwrightError:
    return WardwrightError("alert_not_found", f"no dead letter `{id_}`", hint="`wardwright alert list` shows them")


def alert_jobs(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    """Those among a queue's jobs that are alerts."""
    return tuple(job for job in jobs if job.lane.startswith(LANE_PREFIX))


def bounds_of(sinks: tuple[SinkSettings, ...]) -> dict[str, Bounds]:
    """The bounds of each sink's lane."""
    return {
        lane_of(sink.name): Bounds(dead_max=DEAD_MAX, done_max=DELIVERED_KEPT_MAX, waiting_max=sink.waiting_max)
        for sink in sinks
    }


def lane_of(sink: str) -> str:
    return LANE_PREFIX + sink


def sink_of(lane: str) -> str:
    return lane.removeprefix(LANE_PREFIX)


def _work_of(alert: RaisedAlert) -> Work:
    letter = letter_of(alert)
    return Work(key=letter.id, lane=lane_of(alert.sink), payload=letter.body, ref=alert.receipt)


class _Desk:
    """One sink with its lane and its workers."""

    def __init__(
        self,
        queue: Queue,
        settings: SinkSettings,
        sink: Sink,
        clock: Clock,
        luck: Luck,
        report: Callable[[Exception], None],
        first_rest_s: float,
    ) -> None:
        self.settings = settings
        self.sink = sink
        self._bell = asyncio.Event()
        """Rung when there may be something to do."""
        self._busy = 0
        """Deliveries under way."""
        self._clock = clock
        self._counts = {"dead_lettered": 0, "delivered": 0, "dropped": 0, "refused": 0}
        self._failures = 0
        self._first_rest_s = first_rest_s
        self._idle = asyncio.Event()
        """Rung when a delivery ends."""
        self._lane = lane_of(settings.name)
        self._luck = luck
        self._queue = queue
        self._report = report
        self._rests_until = 0
        """µs since the epoch."""
        self._stopped = False
        self._visible_s = settings.attempt_s + VISIBLE_SLACK_S

    def take(self, work: Work) -> Raised:
        put = self._queue.put(work)
        match put:
            case "taken":
                self.ring()
                return "queued"
            case "duplicate":
                return "duplicate"
            case "full":
                return self._without_room(work)
            case _:
                assert_never(put)

    def _without_room(self, work: Work) -> Raised:
        match self.settings.on_full:
            case "fail_closed":
                self._counts["refused"] += 1
                return "refused"
            case "dead_letter" if self._queue.bury(work, "the sink's queue was full") == "taken":
                self._counts["dead_lettered"] += 1
                return "dead_lettered"
            case _:
                self._counts["dropped"] += 1
                return "dropped"

    def ring(self) -> None:
        self._bell.set()

    def stop(self) -> None:
        """Let no further delivery begin."""
        self._stopped = True
        self._bell.set()

    def stats(self) -> Stats:
        return self._queue.stats(self._lane)

    def pulse(self) -> SinkPulse:
        return SinkPulse(failures=self._failures, jobs=self.stats(), name=self.settings.name, **self._counts)

    async def quiet(self) -> None:
        """Wait until nothing is under way, and nothing is due at a sink that is well."""
        while self._busy or (not self._failures and self._due_in_s() == 0):
            self._idle.clear()
            await self._idle.wait()

    async def work(self) -> None:
        """One worker. Runs until the desk stops, or it is cancelled."""
        while not self._stopped:
            if self._may_try():
                self._busy += 1  # before anything suspends: of a sink that fails, one worker alone makes a probe
                try:
                    if await self._try():
                        continue
                finally:
                    self._busy -= 1
                    self._idle.set()
            self._bell.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._bell.wait()

    def _may_try(self) -> bool:
        return not self._failures or (not self._busy and self._clock.now_us() >= self._rests_until)

    def _pause_s(self) -> float | None:
        """Until time alone makes something due; None where only the bell does."""
        due_s = self._due_in_s()
        if due_s is None or (self._failures and self._busy):
            return None
        resting_s = (self._rests_until - self._clock.now_us()) / SECOND_US if self._failures else 0.0
        return max(due_s, resting_s, 0.0)

    def _due_in_s(self) -> float | None:
        due_at = self._queue.next_due(self._lane)
        return None if due_at is None else max(due_at - self._clock.now_us(), 0) / SECOND_US

    async def _try(self) -> bool:
        """Take one alert and settle it; False where none is due."""
        lease = await self._queue.lease(self._lane, visible_s=self._visible_s)
        if lease is None:
            return False
        try:
            outcome = await self._delivered(lease)
        except BaseException:
            self._queue.release(lease)
            raise
        # A shutdown may cancel the waiting, not the settling: the ledger decides before the disk is waited for.
        with contextlib.suppress(WardwrightError):  # `lease_lost`: it took so long that another worker settles it
            await self._settle(lease, outcome)
        self.ring()
        return True

    async def _delivered(self, lease: Lease) -> Outcome:
        try:
            return await self.sink.deliver(Letter(body=lease.job.payload, id=lease.job.key))
        except Exception as defect:
            self._report(defect)
            return Later(why=f"a defect of the sink: {type(defect).__name__}")

    async def _settle(self, lease: Lease, outcome: Outcome) -> None:
        match outcome:
            case Delivered(note=note):
                self._failures = 0
                self._counts["delivered"] += 1
                await self._queue.ack(lease, note)
            case Refused(why=why):
                self._failures = 0  # it answers: no reason to keep others waiting
                self._counts["dead_lettered"] += 1
                await self._queue.dead(lease, why)
            case Later(why=why, after_s=after_s):
                rest_s = self._rest(after_s or 0.0)
                if lease.job.attempts >= self.settings.attempts_max:
                    self._counts["dead_lettered"] += 1
                    await self._queue.dead(lease, f"{why} (attempt {lease.job.attempts})")
                else:
                    await self._queue.retry(lease, delay_s=rest_s, why=why)
            case _:
                assert_never(outcome)

    def _rest(self, wished_s: float) -> float:
        """Let the sink rest after a failure, in seconds. Failures side by side are one: they had one cause."""
        now_us = self._clock.now_us()
        if not self._failures or now_us >= self._rests_until:
            self._failures += 1
        draw = self._luck.bits(SPREAD_BITS)
        rest_s = delay_s(self._failures, draw, first_s=self._first_rest_s, longest_s=LONGEST_REST_S)
        rest_s = max(rest_s, min(wished_s, LONGEST_REST_S))
        self._rests_until = max(self._rests_until, now_us + int(rest_s * SECOND_US))
        return rest_s
