"""What a writer is asked to write, and the record that results.

An `Entry` is a proposal without a place in the chain; the writer gives it `seq`, `lam`, `prev`, `at` and `id` and
appends one canonical-JSON line. `id = sha256(record without id)`, `prev` the id before it in the same chain: a record
cannot be changed, dropped or moved without breaking what follows.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

VERSION = 1
"""The current `v` of the envelope."""

Chain: TypeAlias = Literal["control", "calls"]
"""`control` is kept for ever; `calls` is retired by whole segments."""

Relation: TypeAlias = Literal["parent", "intent", "retry_of", "approved_by", "supersedes", "evidence"]

GENESIS = "0" * 64
"""The `prev` of a chain's first record."""


class Ref(msgspec.Struct, frozen=True, kw_only=True):
    """One record pointing at an earlier one."""

    id: str
    """The id of a record."""
    rel: Relation


class Entry(msgspec.Struct, eq=False):
    """One proposal to write. `id` is set once the writer has placed it.

    `refs` may name an Entry of the same writer that was put earlier: its id is filled in when this one is placed.
    """

    kind: str
    data: msgspec.Struct
    """Members in alphabetical order and canonical values only, so that its encoding is canonical."""
    at: int
    """µs since the epoch; the writer clamps it so that it never runs backwards."""
    chain: Chain = "calls"
    actor: str = "gateway"
    run: str | None = None
    refs: tuple[tuple[Relation, Entry | str], ...] = ()
    on_durable: Durable | None = None
    id: str | None = None


class Durable(Protocol):
    """Told on the event loop when an entry lies on disk, or that it could not be written."""

    def __call__(self, failure: Exception | None, /) -> None: ...


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a segment. Members stand in the order of their canonical encoding."""

    actor: str
    at: int
    """µs since the epoch, UTC; never less than that of the record before it."""
    chain: Chain
    data: msgspec.Raw
    id: str
    """Hex SHA-256 of the record's canonical bytes without this member."""
    kind: str
    lam: int
    """Lamport time: exceeds that of every record in `refs` and of the writer's last."""
    node: str
    prev: str
    refs: tuple[Ref, ...]
    run: str | None
    seq: int
    """From 1 without gaps within (writer, chain)."""
    v: int
    writer: str
    """`<node>/<role>-<slot>`."""


class Writer(Protocol):
    """Whoever appends. `put` never blocks; a full queue or a failed disk is told through `on_durable` and `failure`."""

    failure: Exception | None
    """Why the journal cannot be written now, if so."""

    def put(self, entry: Entry) -> None: ...
