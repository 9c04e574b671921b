"""Taking the journal's records into the index: one bounded transaction at a time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator

import msgspec

from wardwright.journal.entry import Record
from wardwright.journal.life import ENDS, LOSSES, OPENINGS, receipt_of
from wardwright.journal.record import read
from wardwright.journal.rows import Column, RowOf
from wardwright.journal.store import START, ChainKey, Cursor, Line, Reader
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.database import transaction


class _Source(msgspec.Struct):
    """How far one chain was taken in."""

    id: int
    key: ChainKey
    at: Cursor
    """Before the last line taken in; START when there is none."""
    size: int
    """Of that line."""
    record: str
    """Its digest: the line must still be there."""
    first: int
    """The chain's first segment when it was last looked at."""

    @property
    def next(self) -> Cursor:
        return START if not self.record else Cursor(self.at.segment, self.at.offset + self.size + 1)


class Stale(Exception):
    """The journal no longer holds what was taken in."""


class Intake:
    """Reads chains from where the last transaction ended, and writes rows, places and the cursor."""

    def __init__(self, db: sqlite3.Connection, columns: tuple[Column, ...], row_of: RowOf, reader: Reader) -> None:
        self._db = db
        self._row_of = row_of
        self._reader = reader
        listed = ", ".join(f'"{column.name}"' for column in columns)
        marks = ", ".join("?" * len(columns))
        self.receipt_at = [column.name for column in columns].index("receipt")
        """Where a row names its call."""
        self._insert = f"INSERT OR REPLACE INTO calls ({listed}, source_, segment_) VALUES ({marks}, ?, ?)"

    def batch(self, records_max: int) -> int:
        """Take in some records in one transaction; how many. Fewer than asked for: there are no more.

        Raises `journal_broken` when a line stops every chain, Stale, or sqlite3.Error; nothing has changed then.
        """
        with transaction(self._db):
            count = 0
            broken = None
            keys = [key for key in self._reader.chains() if key.chain == "calls"]
            self._require_chains(keys)
            for key in keys:
                source = self._source(key)
                self._drop_retired(source)
                taken, broken = self._source_batch(source, records_max - count)
                count += taken
                if count >= records_max:
                    break
        if broken is not None and not count:
            raise broken
        return count

    def _source_batch(self, source: _Source, limit: int) -> tuple[int, WardwrightError | None]:
        self._require_record(source)
        rows: list[tuple[str | int | None, ...]] = []
        walk = _Walk(self, self._reader.lines(source.key, source.next), source, limit, rows)
        self._db.executemany("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)", walk.places())
        self._db.executemany(self._insert, rows)
        if walk.count:
            self._db.execute(
                "UPDATE sources SET segment = ?, offset = ?, bytes = ?, record = ? WHERE id = ?",
                (source.at.segment, source.at.offset, source.size, source.record, source.id),
            )
        return walk.count, walk.broken

    def ended(self, source: _Source, record: Record, segment: int) -> tuple[str | int | None, ...] | None:
        """The values of an ended call's row, with the segment whose retirement takes the row along."""
        opened = None
        if record.kind in LOSSES:
            opened, segment = self._opened(source, record, segment)
            if opened is None:
                return None
        row = self._row_of(record, opened)
        return None if row is None else (*row, source.id, segment)

    def _opened(self, source: _Source, record: Record, segment: int) -> tuple[Record | None, int]:
        places = self._db.execute(
            "SELECT segment, offset, bytes FROM places WHERE receipt = ? AND source = ? ORDER BY segment, offset",
            (receipt_of(record), source.id),
        ).fetchall()
        for at, offset, size in places:
            line = self._reader.line_at(source.key, Cursor(at, offset), size)
            opened = None if line is None else read(line)
            if opened is not None and opened.kind in OPENINGS:
                return opened, at
        return None, segment

    def _source(self, key: ChainKey) -> _Source:
        found = self._db.execute(
            "SELECT id, segment, offset, bytes, record, first FROM sources WHERE writer = ? AND chain = ?",
            (key.writer, key.chain),
        ).fetchone()
        if found is None:
            first = self._reader.segments(key)[0]
            made = self._db.execute(
                "INSERT INTO sources (writer, chain, segment, offset, bytes, record, first)"
                " VALUES (?, ?, 0, 0, 0, '', ?)",
                (key.writer, key.chain, first),
            )
            return _Source(made.lastrowid or 0, key, START, 0, "", first)
        id, segment, offset, size, record, first = found
        return _Source(id, key, Cursor(segment, offset), size, record, first)

    def _drop_retired(self, source: _Source) -> None:
        first = self._reader.segments(source.key)[0]
        if first == source.first:
            return
        if first < source.first:
            raise Stale
        for sql in (
            "DELETE FROM calls WHERE source_ = ? AND segment_ < ?",
            "DELETE FROM places WHERE source = ? AND segment < ?",
        ):
            self._db.execute(sql, (source.id, first))
        self._db.execute("UPDATE sources SET first = ? WHERE id = ?", (first, source.id))
        source.first = first

    def _require_record(self, source: _Source) -> None:
        if not source.record or source.at.segment < source.first:
            return
        line = self._reader.line_at(source.key, source.at, source.size)
        if line is None or _digest(line) != source.record:
            raise Stale

    def _require_chains(self, keys: list[ChainKey]) -> None:
        taken = self._db.execute("SELECT writer, chain FROM sources").fetchall()
        if not {(key.writer, key.chain) for key in keys}.issuperset(taken):
            raise Stale


class _Walk:
    """Some lines of one chain: places as they are asked for, so that SQLite's steps and the decoding take turns."""

    def __init__(
        self,
        intake: Intake,
        lines: Iterator[Line],
        source: _Source,
        limit: int,
        rows: list[tuple[str | int | None, ...]],
    ) -> None:
        self.count = 0
        self.broken: WardwrightError | None = None
        self._intake = intake
        self._lines = lines
        self._source = source
        self._limit = limit
        self._rows = rows

    def places(self) -> Iterator[tuple[str | int, int, int, int, int]]:
        source, last = self._source, None
        for line in self._lines:
            if not line.whole or self.count >= self._limit:
                break
            try:
                record = read(line.text)
                receipt = self._ended(record, line.segment) if record.kind in ENDS else receipt_of(record)
            except WardwrightError as error:
                self.broken = error
                break
            last = line
            self.count += 1
            if receipt is None:
                continue
            yield receipt, source.id, line.segment, line.offset, len(line.text)
        if last is not None:
            source.at, source.size = Cursor(last.segment, last.offset), len(last.text)
            source.record = _digest(last.text)

    def _ended(self, record: Record, segment: int) -> str | int | None:
        """Take the row of an ended call; the receipt that it is about, which the row names too."""
        try:
            row = self._intake.ended(self._source, record, segment)
        except msgspec.MsgspecError:
            receipt_of(record)  # says what is wrong where it is that
            raise
        if row is None:
            return receipt_of(record)
        self._rows.append(row)
        return row[self._intake.receipt_at]


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
