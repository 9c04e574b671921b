"""The parts that workers of one machine hold of shared limits, in a SQLite file beside the journal.

Rule 1: every transaction is a few rows by key: it takes microseconds, and is made on the event loop. Whoever cannot
have the file within BUSY_S is told so.
Rule 2: nothing lives here alone: a worker tells its part anew when it starts. A file that is damaged or of another
shape is made anew, and until every worker has joined it nobody lends.
Rule 3: it survives the end of any process. It need not survive the machine's: all workers start after that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from wardwright.kernel.errors import WardwrightError
from wardwright.limits.shares import Key, Part, Parts
from wardwright.storage.database import Form, connect, made_anew, transaction

BUSY_S: Final = 0.25
"""How long the event loop may wait for another worker's transaction."""

_FORM: Final = Form(
    busy_s=BUSY_S,
    shape=1,
    synchronous="OFF",
    tables={
        "parts": """CREATE TABLE parts (
            tenant TEXT NOT NULL, meter TEXT NOT NULL, claim TEXT NOT NULL, worker INTEGER NOT NULL,
            lent INTEGER NOT NULL, slices BLOB NOT NULL,
            PRIMARY KEY (tenant, meter, claim, worker)) WITHOUT ROWID""",
        "joined": "CREATE TABLE joined (worker INTEGER PRIMARY KEY)",
    },
)

_PUT: Final = "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)"
_DROP: Final = "DELETE FROM parts WHERE tenant = ? AND meter = ? AND claim = ? AND worker = ?"
_LOOK: Final = "SELECT worker, lent, slices FROM parts WHERE tenant = ? AND meter = ? AND claim = ?"

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(tuple[tuple[int, int], ...]).decode


class SqliteShareStore:
    """Implements `limits.shares.ShareStore`. Belongs to one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection

    def open(self) -> None:
        """Open or make the file. Raises `state_write`."""
        try:
            try:
                self._db = connect(self.path, _FORM)
            except sqlite3.OperationalError:
                raise  # locked, full or read-only: no reason to drop it
            except sqlite3.DatabaseError:
                self._db = made_anew(self.path, _FORM)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(error) from error

    def close(self) -> None:
        self._db.close()

    def exchange(self, key: Key, worker: int, decide: Callable[[Parts], Part]) -> Parts:
        with self._transaction() as db:
            parts = self._parts(db, key)
            mine = parts[worker] = decide(parts)
            db.execute(_PUT, _row(key, worker, mine))
        return parts

    def look(self, key: Key) -> Parts:
        try:
            return self._parts(self._db, key)
        except sqlite3.Error as error:
            raise _unusable(error) from error

    def put(self, worker: int, parts: Mapping[Key, Part | None]) -> None:
        with self._transaction() as db:
            self._put(db, worker, parts)

    def join(self, worker: int, parts: Mapping[Key, Part]) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM parts WHERE worker = ?", (worker,))
            self._put(db, worker, parts)
            db.execute("INSERT OR IGNORE INTO joined VALUES (?)", (worker,))

    def joined(self) -> frozenset[int]:
        try:
            return frozenset(worker for (worker,) in self._db.execute("SELECT worker FROM joined"))
        except sqlite3.Error as error:
            raise _unusable(error) from error

    def _parts(self, db: sqlite3.Connection, key: Key) -> dict[int, Part]:
        return {worker: Part(lent, _decode(slices)) for worker, lent, slices in db.execute(_LOOK, key)}

    def _put(self, db: sqlite3.Connection, worker: int, parts: Mapping[Key, Part | None]) -> None:
        db.executemany(_PUT, (_row(key, worker, part) for key, part in parts.items() if part is not None))
        db.executemany(_DROP, ((*key, worker) for key, part in parts.items() if part is None))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._db):
                yield self._db
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _row(key: Key, worker: int, part: Part) -> tuple[str, str, str, int, int, bytes]:
    return (*key, worker, part.lent, _encode(part.slices))


def _unusable(error: Exception) -> WardwrightError:
    return WardwrightError("state_write", f"the file of shared limits cannot be used: {error}")
