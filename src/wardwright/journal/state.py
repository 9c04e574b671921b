"""The seam to what is folded from the journal and kept beside it: history, budgets, breaker seeds, calibration.

A *projection* keeps rows under its name, and how far along each chain they reach. It is never the truth: it can be
dropped and folded from the journal again.

Rule 1: rows may be ahead of the cursor and never behind it: every record before the cursor is in the rows. So folding
one record twice must change nothing.
Rule 2: to store, `follow` the journal to its end first, then take the changed rows, then `save` both at once. A fold
that is told of a call before its record is put then holds all that lies before the cursor.
Rule 3: to start, `restore` the rows and `follow` from the cursor. A cursor whose record is gone otherwise than by
retirement belongs to another journal: the rows are cleared and all is folded again.

Implemented by `wardwright.storage.state`, and in memory by `wardwright.testing.state`; the kit that both pass is
`wardwright.testing.state_kit`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeAlias

import msgspec

from wardwright.journal.entry import Record
from wardwright.journal.record import read
from wardwright.journal.store import START, ChainKey, Cursor, Line, Reader
from wardwright.kernel.errors import WardwrightError


class Reached(msgspec.Struct, frozen=True, order=True):
    """The last record of one chain that a projection holds."""

    chain: ChainKey
    at: Cursor
    """Where its line begins."""
    size: int
    """Bytes of its line."""
    id: str
    """The record's id: the line must still be that record."""

    @property
    def next(self) -> Cursor:
        return Cursor(self.at.segment, self.at.offset + self.size + 1)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds of one projection."""

    rows: Mapping[str, bytes] = {}
    reached: tuple[Reached, ...] = ()
    """One a chain, sorted."""


class StateStore(Protocol):
    """Whoever keeps projections. Blocks: call it off the event loop."""

    def load(self, projection: str) -> Snapshot:
        """All of a projection; empty for one that was never saved."""
        ...

    def save(self, projection: str, changes: Mapping[str, bytes | None], reached: tuple[Reached, ...]) -> None:
        """Put or drop (None) some rows and replace the cursor, all or nothing. Raises `state_write`."""
        ...

    def clear(self, projection: str) -> None:
        """Drop the rows and the cursor of a projection. Raises `state_write`."""
        ...


Fold: TypeAlias = Callable[[Record], None]

Chosen: TypeAlias = Callable[[ChainKey], bool]
"""Which chains are meant."""


def calls(key: ChainKey) -> bool:
    """The chains that hold what became of calls, of every writer."""
    return key.chain == "calls"


class Stale(Exception):
    """The cursor does not belong to this journal."""

    def __str__(self) -> str:
        return "the journal is not the one that was read so far"


def follow(
    reader: Reader, reached: tuple[Reached, ...], fold: Fold | None = None, *, only: Chosen = calls
) -> tuple[Reached, ...]:
    """Tell `fold` the records of chains beyond the cursor, by (lam, writer, seq); the cursor behind them.

    Without `fold` only the cursor moves. Where it stands in chains that are not meant, it stays. Raises Stale, and
    `journal_broken` for a line that is no record.
    """
    known = {one.chain: one for one in reached}
    keys = [key for key in reader.chains() if only(key)]
    if not {key for key in known if only(key)} <= set(keys):
        raise Stale
    ends = {key: one for key, one in known.items() if not only(key)}
    if fold is None:
        for key in keys:
            _last(reader, key, known.get(key), ends)
    else:
        chains = [_records(reader, key, known.get(key), ends) for key in keys]
        for _, record in heapq.merge(*chains, key=lambda item: item[0]):
            fold(record)
    return tuple(sorted(ends.values()))


def restore(
    store: StateStore,
    reader: Reader,
    projection: str,
    take: Callable[[Mapping[str, bytes]], None],
    fold: Fold,
    *,
    only: Chosen = calls,
) -> tuple[Reached, ...]:
    """Bring a projection up to the journal's end: its rows, then the tail. Returns the cursor.

    `take` is told the rows first, none where there are none. Rows that do not belong to this journal are cleared.
    """
    snapshot = store.load(projection)
    try:
        for one in snapshot.reached:
            _require(reader, one)
    except Stale:
        store.clear(projection)
        snapshot = Snapshot()
    take(snapshot.rows)
    return follow(reader, snapshot.reached, fold, only=only)


_Placed: TypeAlias = tuple[tuple[int, str, int], Record]


def _records(
    reader: Reader, key: ChainKey, reached: Reached | None, ends: dict[ChainKey, Reached]
) -> Iterator[_Placed]:
    if reached is not None:
        _require(reader, reached)
        ends[key] = reached
    for line in reader.lines(key, START if reached is None else reached.next):
        if line.whole:
            record = read(line.text)
            ends[key] = _reached(key, line, record)
            yield (record.lam, record.writer, record.seq), record


def _last(reader: Reader, key: ChainKey, reached: Reached | None, ends: dict[ChainKey, Reached]) -> None:
    if reached is not None:
        _require(reader, reached)
        ends[key] = reached
    last: Line | None = None
    for line in reader.lines(key, START if reached is None else reached.next):
        last = line if line.whole else last
    if last is not None:
        ends[key] = _reached(key, last, read(last.text))


def _reached(key: ChainKey, line: Line, record: Record) -> Reached:
    return Reached(key, Cursor(line.segment, line.offset), len(line.text), record.id)


def _require(reader: Reader, reached: Reached) -> None:
    segments = reader.segments(reached.chain)
    if not segments:
        raise Stale
    if reached.at.segment < segments[0]:
        return  # retired since
    line = reader.line_at(reached.chain, reached.at, reached.size)
    try:
        found = None if line is None else read(line)
    except WardwrightError:
        found = None
    if found is None or found.id != reached.id:
        raise Stale
