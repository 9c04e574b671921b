"""The journal over HTTP: how it stands, and whether it is what its writers wrote."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from starlette.concurrency import run_in_threadpool

from wardwright.api.operation import Ask
from wardwright.journal.status import JournalStatus
from wardwright.journal.verify import Broken, Incomplete, Intact, Verdict
from wardwright.runtime.settings import Retention

Overall: TypeAlias = Literal["intact", "incomplete", "broken"]


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What the state directory holds and how it is kept."""

    journal: JournalStatus
    durability: Literal["batch", "before_response"]
    on_journal_failure: Literal["refuse", "degrade"]
    index: Literal["follow", "deferred"]
    retention: Retention


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every chain is proven."""

    verdict: Overall
    """The worst of the chains. While the gateway runs its own chains have no closing checkpoint: `incomplete`."""
    chains: tuple[Intact | Incomplete | Broken, ...]


async def show_storage(ask: Ask[None]) -> Storage:
    settings = ask.front.settings
    return Storage(
        journal=await run_in_threadpool(ask.front.journal.status),
        durability=settings.durability,
        on_journal_failure=settings.on_journal_failure,
        index=settings.index,
        retention=settings.retention,
    )


async def show_journal(ask: Ask[None]) -> JournalStatus:
    return await run_in_threadpool(ask.front.journal.status)


async def verify_journal(ask: Ask[None]) -> Verification:
    verdicts = await run_in_threadpool(ask.front.journal.verify)
    return Verification(verdict=overall(verdicts), chains=verdicts)


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
