"""One call of a tool, what comes of it, and what it takes to carry it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from wardwright.calls.receipt import Caller, said
from wardwright.harness.core import receipt as tr
from wardwright.harness.core.before import Keep, Snapshot
from wardwright.harness.core.hands import Hands, Scope
from wardwright.harness.core.houses import Shown
from wardwright.harness.core.modes import Mode, Requirement
from wardwright.journal.approvals import Approval, ApprovalDesk
from wardwright.journal.entry import Entry, Writer
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock, Luck

EVIDENCE_MAX: Final = 64
"""Receipts that one call may cite."""

CLAIMS_BYTES_MAX: Final = 16 * 1024
"""Of all that a call says of itself beside its arguments: it stands in its receipt as it is."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool."""

    tool: str
    arguments: Mapping[str, object] | bytes = {}
    """By name; or JSON as it came."""
    caller: Caller = Caller()
    """Whose call it is; its `house` is the house."""
    mode: Mode = Mode.SIMPLE
    evidence: tuple[str, ...] = ()
    """Receipts that it rests on, or takes over."""
    plan: str | None = None
    approval: str | None = None
    """The approval that it uses."""
    parent: str | None = None
    """The receipt of the call that it is a step of, or stands in for."""
    degraded_from: str | None = None
    depth: int = 0

    @property
    def house(self) -> str:
        return said(self.caller.house) or ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    receipt: tr.ToolReceipt
    value: object = None
    """Plain values; None where there is none."""
    error: WardwrightError | None = None


class Desk(ApprovalDesk, Protocol):
    """Where calls wait for a person."""

    def find(self, id_: str, /) -> Approval:
        """Raises `approval_not_found`."""
        ...


class Past(Protocol):
    """Earlier calls of tools, as obligations look for them."""

    async def receipt(self, id_: str, /) -> tr.ToolReceipt | None:
        """One that ended, of any tenant."""
        ...

    async def shown(self, tenant: str, receipts: Sequence[str]) -> tuple[Shown, ...]:
        """Those of a tenant that are there."""
        ...

    async def reads(self, caller: Caller, paths: Sequence[str]) -> tuple[Shown, ...]:
        """Reads of the caller's run, else of its session, that name one of the paths."""
        ...

    def note(self, receipt: tr.ToolReceipt) -> None:
        """A call has ended: it is found from now on."""
        ...

    async def writers(self, tenant: str, paths: Sequence[str]) -> tuple[Shown, ...]:
        """For each path, who wrote it last."""
        ...


class Reaching(Hands, Protocol):
    """Hands, and what becomes of files that they write."""

    @property
    def walls(self) -> str: ...

    async def take(self, path: str, keep: Keep) -> Snapshot:
        """What stands at a path that may be written."""
        ...

    async def sealed(self, taken: Snapshot, keep: Keep) -> Snapshot:
        """The same, with what stands there now."""
        ...

    async def restore(self, taken: Snapshot, keep: Keep, *, forced: bool) -> None:
        """Put back what stood there. Raises `tool_failed` where somebody has written since, unless forced."""
        ...


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a workshop stands on."""

    capture: Callable[[str, str, bytes, bytes], None]
    """Keep arguments and result of a call: tenant, receipt, and both as JSON. Blocks. Raises OSError."""
    captures_all: bool
    """Also where the mode does not demand it."""
    clock: Clock
    desk: Desk
    durably: Callable[[Entry], Awaitable[None]]
    """Put an entry and wait until it is durable. Raises `journal_write`."""
    hands: Callable[[Scope, Requirement], Reaching]
    """Raises `scope_denied` and `sandbox_unavailable`."""
    hear: Callable[[], Awaitable[None]]
    """Take in what calls of other processes left to be remembered. Raises `journal_unavailable`."""
    keep: Callable[[str], Keep]
    """Where contents of a tenant's files are kept."""
    luck: Luck
    past: Past
    report: Callable[[BaseException], None]
    """Defects: a log with their trace."""
    seal: Callable[[str, bytes], str]
    """A keyed digest, by tenant."""
    trusted: frozenset[str]
    """Functions that are ours: those of third parties never run in our process where walls are required for all."""
    walls: str
    """What stands around programs here."""
    writer: Writer
    writer_name: str
