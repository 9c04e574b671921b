"""Work that outlives the process: what a queue holds, and what it promises.

Rule 1: a job is named by its lane and key. A key that the lane knows, finished jobs too as long as they are
remembered, is not taken a second time.
Rule 2: whoever leases a job gets a fencing token, larger than every token before it, over restarts too. A lease that
was overtaken settles nothing: `lease_lost`.
Rule 3: delivery is at least once. A job whose worker vanished is leased again when the lease runs out, or as soon as
the queue is opened anew.
Rule 4: a lane is bounded: so many unfinished jobs, so many dead ones, so many that are remembered as done.
Rule 5: `put` and `bury` answer at once and never wait for a disk; what they took is durable when `on_durable` says so,
or once `drain` has returned.

The decisions are `journal.work_ledger`'s. Implemented by `storage.work_queue`, and in memory by
`testing.work_queue`; the kit that both pass is `testing.work_queue_kit`.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from wardwright.journal.entry import Durable

PAYLOAD_BYTES_MAX: Final = 65_536
"""A larger payload is refused: a queue carries references, not bodies."""

NOTE_CHARS_MAX: Final = 500
"""What is kept of the words about a job's last trouble or its end."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much one lane holds."""

    dead_max: int = 1_000
    """Dead jobs that wait for a person; further ones are refused."""
    done_max: int = 1_000
    """Finished jobs that are remembered, by which a repeated key is known. The oldest is forgotten first."""
    waiting_max: int = 1_000
    """Unfinished jobs, leased ones among them."""


BOUNDS: Final = Bounds()


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is put."""

    due_at: int = 0
    """µs since the epoch: not leased before, and in line with those that are due since then; 0: due at once."""
    key: str
    """Idempotency: the same key is the same job."""
    lane: str
    """Whose work it is, such as `alerts/default`."""
    payload: bytes
    ref: str = ""
    """What it is about, such as a receipt's id: lists can be narrowed to it."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True, tag="waiting"):
    """Nobody works on it."""

    due_at: int
    """µs since the epoch: not leased before."""


class Leased(msgspec.Struct, frozen=True, kw_only=True, tag="leased"):
    """Somebody works on it."""

    token: int
    until: int
    """µs since the epoch: afterwards anybody may lease it."""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """Finished; its payload is gone."""

    at: int
    """µs since the epoch."""


class Dead(msgspec.Struct, frozen=True, kw_only=True, tag="dead"):
    """Given up: a person retries it or drops it."""

    at: int
    """µs since the epoch."""


JobState: TypeAlias = Waiting | Leased | Done | Dead
StateName: TypeAlias = Literal["waiting", "leased", "done", "dead"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work as the queue knows it."""

    attempts: int = 0
    """Leases that were not given back."""
    key: str
    lane: str
    note: str = ""
    """What its last worker said: how it went, or why not."""
    payload: bytes
    put_at: int
    """µs since the epoch."""
    ref: str = ""
    seq: int
    """Its place in the order of puts."""
    state: JobState

    @property
    def state_name(self) -> StateName:
        return _NAMES[type(self.state)]


_NAMES: Final[dict[type[JobState], StateName]] = {Waiting: "waiting", Leased: "leased", Done: "done", Dead: "dead"}


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to work on a job, until it runs out."""

    job: Job
    token: int
    """Fencing: whoever the work reaches can refuse one that is smaller than the largest seen."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How much a lane holds now."""

    dead: int
    done: int
    leased: int
    waiting: int


Put: TypeAlias = Literal["taken", "duplicate", "full"]
"""`duplicate`: the lane knows the key, nothing changed. `full`: a bound is reached, the queue drains, or the payload is
too large."""


class WorkQueue(Protocol):
    """Where work is put and taken from. Belongs to one event loop's thread."""

    def put(self, work: Work, *, on_durable: Durable | None = None) -> Put:
        """Take a job in. `on_durable` is called only for one that was taken."""
        ...

    def bury(self, work: Work, why: str) -> Put:
        """Take a job in as a dead one: there was no room for it among the others."""
        ...

    async def lease(self, lane: str, *, visible_s: float) -> Lease | None:
        """The job that has been due longest, for `visible_s`; None, without suspending, where none is due.

        The lease is durable before it is handed out, so that a job which ends its worker's process is counted.
        """
        ...

    async def ack(self, lease: Lease, note: str = "") -> None:
        """It is done. Raises `lease_lost`."""
        ...

    async def retry(self, lease: Lease, *, delay_s: float, why: str) -> None:
        """It failed, and is due again after a delay. Raises `lease_lost`."""
        ...

    async def dead(self, lease: Lease, why: str) -> None:
        """It failed for good. Raises `lease_lost`. Where `dead_max` is reached, the oldest dead job makes room."""
        ...

    def release(self, lease: Lease, *, delay_s: float = 0.0) -> None:
        """Give it back untried: due at once or after a delay, the attempt not counted. A lease that was lost is left
        alone."""
        ...

    async def drain(self) -> None:
        """Refuse puts from now on, and return when everything that was told is durable."""
        ...


class WorkDesk(Protocol):
    """The same queue, for those who look after it."""

    @property
    def failure(self) -> Exception | None:
        """Why changes cannot be made durable now, if so. Work goes on in memory."""
        ...

    def next_due(self, lane: str) -> int | None:
        """When `lease` is next worth asking, in µs since the epoch; None while nothing waits."""
        ...

    def stats(self, lane: str) -> Stats: ...

    def jobs(self, lane: str | None = None) -> tuple[Job, ...]:
        """Every job that is held or remembered, in the order of puts."""
        ...

    async def give_up(self, lane: str, why: str) -> int:
        """Let every job that waits, due or not, be dead, as `dead` does; how many.

        One that is leased is left to whoever works on it.
        """
        ...

    async def revive(self, lane: str, key: str) -> bool:
        """Let a dead job wait again, its attempts forgotten. False where there is no such dead job, or no room."""
        ...

    async def drop(self, lane: str, key: str) -> bool:
        """Forget a dead job. False where there is no such dead job."""
        ...
