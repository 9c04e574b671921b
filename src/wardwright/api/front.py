"""What the HTTP surface needs of the process behind it. `runtime.wiring.Runtime` is one; tests make their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from wardwright.gateway.service import Gateway
from wardwright.journal.captures import Captures
from wardwright.journal.status import JournalStatus, Pulse
from wardwright.journal.store import Index
from wardwright.journal.verify import Verdict
from wardwright.journal.work_queue import Job
from wardwright.runtime.alerts import SinkPulse
from wardwright.runtime.approvals import ApprovalDesk
from wardwright.runtime.control import Control, State
from wardwright.runtime.forgetting import Forgotten
from wardwright.runtime.settings import Settings
from wardwright.runtime.siblings import Siblings
from wardwright.runtime.upstreams import Upstreams
from wardwright.runtime.worker import Worker


class Journal(Protocol):
    """The journal as operators see it."""

    def pulse(self) -> Pulse:
        """How writing goes. Costs nothing; belongs to the event loop's thread."""
        ...

    def status(self) -> JournalStatus:
        """What lies on disk. Reads files: call it off the event loop."""
        ...

    def verify(self) -> tuple[Verdict, ...]:
        """A verdict for every chain. Reads every record: call it off the event loop."""
        ...


class Alerts(Protocol):
    """Alerts as operators see them. Belongs to the event loop's thread."""

    def jobs(self) -> tuple[Job, ...]:
        """Every alert that waits, is dead or was delivered lately, oldest first."""
        ...

    def pulse(self) -> tuple[SinkPulse, ...]:
        """How each sink fares, by name; empty where no gateway runs."""
        ...

    async def retry(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        """Let dead letters be delivered after all. Raises `alert_not_found`, `journal_write`."""
        ...

    async def drop(self, ids: frozenset[str], *, by: str) -> tuple[str, ...]:
        """Forget dead letters. Raises `alert_not_found`, `journal_write`."""
        ...


class Front(Protocol):
    """One running gateway."""

    @property
    def admin_token_hash(self) -> str | None:
        """Hex SHA-256 of the admin credential; None: there is none, and `/admin` and `/api` answer to nobody."""
        ...

    @property
    def alerts(self) -> Alerts: ...

    @property
    def approvals(self) -> ApprovalDesk: ...

    @property
    def build(self) -> str:
        """The version of this program."""
        ...

    @property
    def captures(self) -> Captures: ...

    @property
    def connections(self) -> int:
        """Client connections that are open now."""
        ...

    @property
    def control(self) -> Control: ...

    @property
    def draining(self) -> bool:
        """No new work is taken."""
        ...

    async def forget(self, tenant: str, receipt: str | None, *, by: str) -> Forgotten:
        """Drop a tenant's key and captured bodies, or the bodies of one call. Raises `invalid_request`,
        `journal_write`."""
        ...

    @property
    def gateway(self) -> Gateway: ...

    @property
    def index(self) -> Index:
        """Blocks: ask it off the event loop."""
        ...

    @property
    def journal(self) -> Journal: ...

    @property
    def reload(self) -> Reload: ...

    @property
    def report(self) -> Callable[[Exception], None]:
        """Where defects go: a log with their trace."""
        ...

    @property
    def settings(self) -> Settings: ...

    @property
    def siblings(self) -> Siblings | None:
        """The other workers; None where this process serves alone."""
        ...

    @property
    def started_at(self) -> int:
        """µs since the epoch."""
        ...

    @property
    def test_config(self) -> bool:
        """Whether `POST /__test/config` exists."""
        ...

    @property
    def upstreams(self) -> Upstreams: ...

    @property
    def worker(self) -> Worker:
        """Which of the processes that serve this one is."""
        ...


class Reload(Protocol):
    """Reads the contract files again and serves what they propose."""

    def __call__(self, *, by: str) -> Awaitable[State]: ...
