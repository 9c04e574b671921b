"""How the journal stands, for operators: values that `runtime` gathers and the front doors show."""

from __future__ import annotations

from typing import Literal

import msgspec

from wardwright.journal.store import ChainKey


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """How writing goes now."""

    failure: str | None
    """Why the journal cannot be written, if so."""
    refused: int
    """Entries that found the queue full, since the start."""
    waiting: int
    """Entries that were put and not written yet."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The last checkpoint of a chain."""

    at: int
    """µs since the epoch."""
    reason: Literal["closed", "rotated"]
    seq: int


class ChainStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One chain as it lies on disk."""

    bytes: int
    chain: ChainKey
    checkpoint: Mark | None
    """None for a chain that has none yet."""
    head: str | None
    """The id of the last record."""
    segments: int
    seq: int
    """Of the last record; 0 where there is none."""


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the index of receipts is."""

    behind: bool
    """Whether the journal holds records that the index does not reflect yet."""
    failure: str | None
    """Why it cannot be kept up, if so."""


class JournalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one state directory's journal."""

    chains: tuple[ChainStatus, ...]
    index: IndexStatus
    pulse: Pulse
    writer: str
    """The chain owner that this process writes as: `<node>/<slot>`."""
