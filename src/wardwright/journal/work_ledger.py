"""The decisions of a work queue: one book of jobs, the time given, every change noted for whoever makes it durable.

    ledger = WorkLedger(epoch=1)
    ledger.put(Work(key="a", lane="alerts/default", payload=b"…"), now)
    lease = ledger.lease("alerts/default", now, visible_us=30_000_000)
    ledger.ack(lease, "HTTP 204", now)
    for (lane, key), job in ledger.take_changes().items(): …

Rule 1: nothing here waits or fails half-way: each method changes the book whole, or not at all.
Rule 2: among jobs that are due, the one that has been due longest goes first, then the one that was put first.
Rule 3: a token is the epoch and a count. The epoch is larger at every opening, so tokens grow over restarts without
being written down one by one.
Rule 4: a lease taken under an earlier epoch is void: whoever holds the book now is its only holder.

Instants and lengths of time are µs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from wardwright.journal.work_queue import (
    BOUNDS,
    NOTE_CHARS_MAX,
    PAYLOAD_BYTES_MAX,
    Bounds,
    Dead,
    Done,
    Job,
    Lease,
    Leased,
    Put,
    Stats,
    Waiting,
    Work,
)
from wardwright.kernel.errors import WardwrightError

LEASES_PER_EPOCH: Final = 1 << 32

Place: TypeAlias = tuple[str, str]
"""Lane and key."""


class _Lane:
    """One lane: its jobs by key, and the keys by what state they are in."""

    __slots__ = ("bounds", "dead", "done", "due", "jobs", "leased")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.dead: dict[str, None] = {}
        self.done: dict[str, None] = {}
        """Oldest first, as in `dead`."""
        self.due: list[tuple[int, int, str]] = []
        """A heap of (due_at, seq, key): one entry a waiting job."""
        self.jobs: dict[str, Job] = {}
        self.leased: dict[str, int] = {}
        """The instant at which each lease runs out."""

    @property
    def unfinished(self) -> int:
        return len(self.due) + len(self.leased)


class WorkLedger:
    """The book. Belongs to one thread."""

    def __init__(
        self,
        jobs: Iterable[Job] = (),
        *,
        epoch: int,
        now: int = 0,
        bounds: Mapping[str, Bounds] | None = None,
    ) -> None:
        """`epoch` exceeds that of every earlier book over the same jobs. `bounds` by lane; others have BOUNDS."""
        self._bounds = dict(bounds or {})
        self._changes: dict[Place, Job | None] = {}
        self._lanes: dict[str, _Lane] = {}
        self._seq = 0
        self._token = epoch * LEASES_PER_EPOCH
        for job in sorted(jobs, key=_age):
            self._seq = max(self._seq, job.seq)
            if isinstance(job.state, Leased):
                self._set(self._lane(job.lane), msgspec.structs.replace(job, state=Waiting(due_at=now)))
            else:
                self._enter(self._lane(job.lane), job)

    # -- work --------------------------------------------------------------------------------------------------------

    def put(self, work: Work, now: int) -> Put:
        lane = self._lane(work.lane)
        if work.key in lane.jobs:
            return "duplicate"
        if lane.unfinished >= lane.bounds.waiting_max or len(work.payload) > PAYLOAD_BYTES_MAX:
            return "full"
        self._set(lane, self._job(work, Waiting(due_at=work.due_at or now), now))
        return "taken"

    def bury(self, work: Work, why: str, now: int) -> Put:
        lane = self._lane(work.lane)
        if work.key in lane.jobs:
            return "duplicate"
        if len(lane.dead) >= lane.bounds.dead_max or len(work.payload) > PAYLOAD_BYTES_MAX:
            return "full"
        self._set(lane, self._job(work, Dead(at=now), now, note=why))
        return "taken"

    def lease(self, lane_name: str, now: int, *, visible_us: int) -> Lease | None:
        lane = self._lane(lane_name)
        self._expire(lane, now)
        if not lane.due or lane.due[0][0] > now:
            return None
        job = lane.jobs[lane.due[0][2]]
        self._token += 1
        leased = msgspec.structs.replace(
            job, attempts=job.attempts + 1, state=Leased(token=self._token, until=now + visible_us)
        )
        self._leave(lane, job)
        self._set(lane, leased)
        return Lease(job=leased, token=self._token)

    def ack(self, lease: Lease, note: str, now: int) -> None:
        """Raises `lease_lost`, as the next two."""
        lane, job = self._held(lease)
        self._move(lane, msgspec.structs.replace(job, payload=b""), Done(at=now), note=note)
        while len(lane.done) > lane.bounds.done_max:
            self._forget(lane, next(iter(lane.done)))

    def retry(self, lease: Lease, due_at: int, why: str) -> None:
        lane, job = self._held(lease)
        self._move(lane, job, Waiting(due_at=due_at), note=why)

    def dead(self, lease: Lease, why: str, now: int) -> None:
        lane, job = self._held(lease)
        self._die(lane, job, why, now)

    def release(self, lease: Lease, due_at: int) -> None:
        try:
            lane, job = self._held(lease)
        except WardwrightError:
            return
        self._move(lane, msgspec.structs.replace(job, attempts=job.attempts - 1), Waiting(due_at=due_at))

    # -- looking after it ----------------------------------------------------------------------------------------------

    def next_due(self, lane_name: str) -> int | None:
        lane = self._lane(lane_name)
        instants = [*lane.leased.values(), *(entry[0] for entry in lane.due[:1])]
        return min(instants, default=None)

    def stats(self, lane_name: str) -> Stats:
        lane = self._lane(lane_name)
        return Stats(dead=len(lane.dead), done=len(lane.done), leased=len(lane.leased), waiting=len(lane.due))

    def jobs(self, lane_name: str | None = None) -> tuple[Job, ...]:
        lanes = self._lanes.values() if lane_name is None else (self._lane(lane_name),)
        return tuple(sorted((job for lane in lanes for job in lane.jobs.values()), key=lambda job: job.seq))

    def give_up(self, lane_name: str, why: str, now: int) -> int:
        lane = self._lane(lane_name)
        self._expire(lane, now)
        count = len(lane.due)
        while lane.due:
            self._die(lane, lane.jobs[lane.due[0][2]], why, now)
        return count

    def revive(self, lane_name: str, key: str, now: int) -> bool:
        lane = self._lane(lane_name)
        if key not in lane.dead or lane.unfinished >= lane.bounds.waiting_max:
            return False
        self._move(lane, msgspec.structs.replace(lane.jobs[key], attempts=0), Waiting(due_at=now))
        return True

    def drop(self, lane_name: str, key: str) -> bool:
        lane = self._lane(lane_name)
        if key not in lane.dead:
            return False
        self._forget(lane, key)
        return True

    def take_changes(self) -> dict[Place, Job | None]:
        """Jobs that changed since this was last asked, as they are now; None for those that are gone."""
        changes, self._changes = self._changes, {}
        return changes

    # -- the book itself -----------------------------------------------------------------------------------------------

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(self._bounds.get(name, BOUNDS))
        return lane

    def _job(self, work: Work, state: Waiting | Dead, now: int, *, note: str = "") -> Job:
        self._seq += 1
        return Job(
            key=work.key,
            lane=work.lane,
            note=note[:NOTE_CHARS_MAX],
            payload=work.payload,
            put_at=now,
            ref=work.ref,
            seq=self._seq,
            state=state,
        )

    def _held(self, lease: Lease) -> tuple[_Lane, Job]:
        """The job of a lease that still holds. One that ran out and that nobody took since holds too."""
        lane = self._lane(lease.job.lane)
        job = lane.jobs.get(lease.job.key)
        if job is None or not isinstance(job.state, Leased) or job.state.token != lease.token:
            raise WardwrightError("lease_lost", f"the lease on `{lease.job.key}` was overtaken")
        return lane, job

    def _expire(self, lane: _Lane, now: int) -> None:
        """Let the jobs wait whose leases ran out."""
        for key in [key for key, until in lane.leased.items() if until <= now]:
            self._move(lane, lane.jobs[key], Waiting(due_at=lane.leased[key]))

    def _die(self, lane: _Lane, job: Job, why: str, now: int) -> None:
        """Where the lane has its most dead jobs, the oldest makes room."""
        if len(lane.dead) >= lane.bounds.dead_max:
            self._forget(lane, next(iter(lane.dead)))
        self._move(lane, job, Dead(at=now), note=why)

    def _move(self, lane: _Lane, job: Job, state: Waiting | Done | Dead, *, note: str | None = None) -> None:
        """Give a job another state."""
        self._leave(lane, lane.jobs[job.key])
        words = job.note if note is None else note[:NOTE_CHARS_MAX]
        self._set(lane, msgspec.structs.replace(job, note=words, state=state))

    def _set(self, lane: _Lane, job: Job) -> None:
        self._enter(lane, job)
        self._changes[job.lane, job.key] = job

    def _enter(self, lane: _Lane, job: Job) -> None:
        lane.jobs[job.key] = job
        match job.state:
            case Waiting(due_at=due_at):
                heapq.heappush(lane.due, (due_at, job.seq, job.key))
            case Leased(until=until):
                lane.leased[job.key] = until
            case Done():
                lane.done[job.key] = None
            case Dead():
                lane.dead[job.key] = None

    def _leave(self, lane: _Lane, job: Job) -> None:
        match job.state:
            case Waiting():
                assert lane.due[0][2] == job.key, "only the first of those that wait leaves"
                heapq.heappop(lane.due)
            case Leased():
                del lane.leased[job.key]
            case Done():
                del lane.done[job.key]
            case Dead():
                del lane.dead[job.key]

    def _forget(self, lane: _Lane, key: str) -> None:
        job = lane.jobs[key]
        self._leave(lane, job)
        del lane.jobs[key]
        self._changes[job.lane, key] = None


def _age(job: Job) -> tuple[int, int]:
    """Finished and dead jobs in the order in which they ended, the others in the order of puts."""
    return (job.state.at if isinstance(job.state, Done | Dead) else 0, job.seq)
