"""The records that the journal writes about itself."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from wardwright.journal.checkpoint import CHECKPOINT, OpenCall, Seal, Signer, seal
from wardwright.journal.entry import Chain, Entry
from wardwright.journal.scribe import Head
from wardwright.journal.store import ChainKey

GapReason: TypeAlias = Literal["full", "invalid"]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `journal.gap`: entries that were put and never written."""

    count: int
    detail: str
    """For `invalid`: what could not be written, and why."""
    reason: GapReason
    """`full`: they found the queue full. `invalid`: they held what no record may hold."""


class Torn(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `journal.torn`: the end of a segment that no writer finished, cut off and kept aside."""

    bytes: int
    chain: Chain
    digest: str
    """`sha256:` and the hex digest of what was cut off."""
    segment: int


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a `journal.quarantined`: a writer whose chain does not verify is left as it is."""

    place: str
    reason: str
    writer: str


def gap(data: Gap, at: int) -> Entry:
    return Entry("journal.gap", data, at=at, chain="control", actor="journal")


def torn(data: Torn, at: int) -> Entry:
    return Entry("journal.torn", data, at=at, chain="control", actor="journal")


def quarantined(data: Quarantined, at: int) -> Entry:
    return Entry("journal.quarantined", data, at=at, chain="control", actor="journal")


def ending(
    key: ChainKey,
    head: Head,
    before: tuple[int, str | None],
    open: tuple[OpenCall, ...],
    reason: Literal["closed", "rotated"],
    signer: Signer,
    at: int,
) -> Entry:
    """The signed checkpoint over all that follows the one before: its `seq` and its id."""
    seq, name = before
    statement = Seal(
        chain=key.chain,
        count=head.seq - seq,
        first=seq + 1,
        head=head.id,
        key=signer.key,
        open=open,
        prev=name,
        reason=reason,
        seq=head.seq,
        writer=key.writer,
    )
    return Entry(CHECKPOINT, seal(statement, signer), at=at, chain=key.chain, actor="journal")
