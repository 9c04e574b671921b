"""The journal over HTTP: how it stands, and whether it is what its writers wrote."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from starlette.concurrency import run_in_threadpool

from wardwright.api.operation import Ask
from wardwright.gateway.core.callers import CLAIM_CHARS_MAX
from wardwright.journal.captures import CapturePulse
from wardwright.journal.status import JournalStatus
from wardwright.journal.verify import Broken, Incomplete, Intact, Verdict
from wardwright.runtime.forgetting import Forgotten
from wardwright.runtime.settings import Retention

Overall: TypeAlias = Literal["intact", "incomplete", "broken"]


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What the state directory holds and how it is kept."""

    journal: JournalStatus
    """What lies on disk."""
    durability: Literal["batch", "before_response"]
    """When an answer leaves: before or after its receipt is durable."""
    on_journal_failure: Literal["refuse", "degrade"]
    """Whether calls go on when the journal cannot be written."""
    index: Literal["follow", "deferred"]
    """Whether the receipt index follows the journal or waits until it is asked."""
    retention: Retention
    """How long the records of calls are kept."""
    capture: Literal["off", "bodies"]
    """Whether the bodies of calls are kept."""
    captures: CapturePulse
    """How keeping them goes."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every chain is proven."""

    verdict: Overall
    """The worst of the chains. While the gateway runs its own chains have no closing checkpoint: `incomplete`."""
    chains: tuple[Intact | Incomplete | Broken, ...]
    """Control chains before what they account for."""


class Forgetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be forgotten."""

    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=CLAIM_CHARS_MAX)]
    """Whose."""
    receipt: Annotated[str, msgspec.Meta(pattern="^rc[pt]_[0-9a-f]{28}$")] | None = None
    """Of the one call whose bodies shall go; null: the tenant's key and all of its bodies."""


async def show_storage(ask: Ask[None]) -> Storage:
    settings = ask.front.settings
    return Storage(
        journal=await run_in_threadpool(ask.front.journal.status),
        durability=settings.durability,
        on_journal_failure=settings.on_journal_failure,
        index=settings.index,
        retention=settings.retention,
        capture=settings.capture,
        captures=ask.front.captures.pulse(),
    )


async def show_journal(ask: Ask[None]) -> JournalStatus:
    return await run_in_threadpool(ask.front.journal.status)


async def verify_journal(ask: Ask[None]) -> Verification:
    verdicts = await run_in_threadpool(ask.front.journal.verify)
    return Verification(verdict=overall(verdicts), chains=verdicts)


async def forget(ask: Ask[Forgetting]) -> Forgotten:
    return await ask.front.forget(ask.body.tenant, ask.body.receipt, by="admin")


def overall(verdicts: tuple[Verdict, ...]) -> Overall:
    """The worst verdict; a journal without a chain is incomplete.

    >>> overall(())
    'incomplete'
    """
    if any(isinstance(verdict, Broken) for verdict in verdicts):
        return "broken"
    if not verdicts or any(isinstance(verdict, Incomplete) for verdict in verdicts):
        return "incomplete"
    return "intact"
