"""Projections in SQLite: rows by name and key, and how far along the journal they reach.

Rule 1: nothing lives here alone. A file that is damaged or of another shape is made anew, empty: whoever loads from it
folds the journal again.
Rule 2: rows and cursor change in one transaction. The file need not survive a power cut whole: what it lost is beyond
the cursor that it kept.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from wardwright.journal.state import Reached, Snapshot
from wardwright.journal.store import ChainKey, Cursor
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.database import Form, connect, made_anew, transaction

_FORM: Final = Form(
    busy_s=10.0,
    shape=1,
    synchronous="NORMAL",
    tables={
        "rows": """CREATE TABLE rows (
            projection TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
            PRIMARY KEY (projection, key)) WITHOUT ROWID""",
        "reached": """CREATE TABLE reached (
            projection TEXT NOT NULL, writer TEXT NOT NULL, chain TEXT NOT NULL, segment INTEGER NOT NULL,
            offset INTEGER NOT NULL, bytes INTEGER NOT NULL, id TEXT NOT NULL,
            PRIMARY KEY (projection, writer, chain)) WITHOUT ROWID""",
    },
)


class SqliteStateStore:
    """Implements `journal.state.StateStore`. Safe to share between threads; blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection

    def open(self) -> None:
        """Open or make the file."""
        try:
            self._db = connect(self.path, _FORM)
        except sqlite3.OperationalError as error:
            raise _unwritable(error) from error  # locked, full or read-only: no reason to drop it
        except sqlite3.DatabaseError:
            self._db = made_anew(self.path, _FORM)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def load(self, projection: str) -> Snapshot:
        with self._lock:
            try:
                return self._load(projection)
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise _unwritable(error) from error  # locked or closed: no reason to drop it
            except sqlite3.DatabaseError:
                self._db.close()
                self._db = made_anew(self.path, _FORM)
                return Snapshot()

    def save(self, projection: str, changes: Mapping[str, bytes | None], reached: tuple[Reached, ...]) -> None:
        put = [(projection, key, value) for key, value in changes.items() if value is not None]
        drop = [(projection, key) for key, value in changes.items() if value is None]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", put)
            db.executemany("DELETE FROM rows WHERE projection = ? AND key = ?", drop)
            db.execute("DELETE FROM reached WHERE projection = ?", (projection,))
            db.executemany(
                "INSERT INTO reached VALUES (?, ?, ?, ?, ?, ?, ?)", (_row(projection, one) for one in reached)
            )

    def clear(self, projection: str) -> None:
        with self._transaction() as db:
            for table in ("rows", "reached"):
                db.execute(f"DELETE FROM {table} WHERE projection = ?", (projection,))

    def _load(self, projection: str) -> Snapshot:
        db = self._db
        db.execute("BEGIN")
        try:
            rows = dict(db.execute("SELECT key, value FROM rows WHERE projection = ?", (projection,)))
            reached = tuple(
                Reached(ChainKey(writer, chain), Cursor(segment, offset), size, id)
                for writer, chain, segment, offset, size, id in db.execute(
                    "SELECT writer, chain, segment, offset, bytes, id FROM reached WHERE projection = ?", (projection,)
                )
            )
        finally:
            db.execute("ROLLBACK")
        return Snapshot(rows=rows, reached=tuple(sorted(reached)))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with transaction(self._db):
                    yield self._db
            except sqlite3.Error as error:
                raise _unwritable(error) from error


def _row(projection: str, one: Reached) -> tuple[str, str, str, int, int, int, str]:
    return (projection, one.chain.writer, one.chain.chain, one.at.segment, one.at.offset, one.size, one.id)


def _unwritable(error: sqlite3.Error) -> WardwrightError:
    return WardwrightError("state_write", f"the state store cannot be used: {error}")
