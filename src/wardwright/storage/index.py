"""The SQLite projection of `calls`: one row an ended call, and where each record of a call lies.

Rule 1: rows and the cursor that says how far they reach change in one transaction, so the index is never half ahead.
Rule 2: nothing lives here alone. What does not fit the journal (another shape, a cursor whose record is gone, a damaged
file) is dropped and read again; after that the rows are the same as if they had been kept up all along.
Rule 3: a question first takes in what the journal holds beyond the cursor, up to TAIL_RECORDS_MAX, so that a call is
found as soon as it lies in a segment.

Any number of processes may share the file: whoever takes in records holds the write transaction from reading the cursor
on.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import threading
from pathlib import Path
from typing import Final, Literal

import msgspec

from wardwright.journal.entry import Record
from wardwright.journal.life import receipt_of
from wardwright.journal.record import read
from wardwright.journal.rows import Column, Row, RowOf
from wardwright.journal.store import Asking, ChainKey, Cursor, Page, Reader, Totals, Where
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.storage.database import transaction
from wardwright.storage.index_intake import Intake, Stale
from wardwright.storage.index_schema import SCHEMA, create_calls
from wardwright.storage.index_totals import statement, total_of

TAIL_RECORDS_MAX: Final = 20_000
LIMIT_MAX: Final = 500
TOTALS_ROWS_MAX: Final = 100_000
"""Rows that one question takes together; older ones are left out, and the answer says so."""
BUSY_S: Final = 10.0
"""How long a question waits for another process that holds the file."""
_PAGE_BYTES: Final = 8192
"""Twice SQLite's own: rows of a batch lie side by side, and each page that they fill is written as one."""
_OPS: Final = {"eq": "=", "min": ">=", "max": "<="}


class SqliteIndex:
    """Implements `journal.store.Index`. Safe to share between threads; blocks, so call it off the event loop."""

    def __init__(
        self,
        path: Path,
        columns: tuple[Column, ...],
        row_of: RowOf,
        reader: Reader,
        *,
        mode: Literal["trailing", "deferred"] = "trailing",
        delay_s: float = 1.0,
        batch_records: int = 500,
        totals_rows_max: int = TOTALS_ROWS_MAX,
        busy_s: float = BUSY_S,
    ) -> None:
        """`columns` name at least `receipt` (text) and `started_at` (integer).

        `trailing`: a thread takes records in every `delay_s`. `deferred`: only questions do.
        """
        self.path = path
        self.columns = columns
        self.failure: Exception | None = None
        """Why the index cannot be kept up now, if so. Questions are answered from what it holds."""
        self._row_of = row_of
        self._reader = reader
        self._mode = mode
        self._delay_s = delay_s
        self._batch_records = batch_records
        self._totals_rows_max = totals_rows_max
        self._busy_s = busy_s
        self._names = {column.name for column in columns}
        self._receipt = [column.name for column in columns].index("receipt")
        self._started_at = [column.name for column in columns].index("started_at")
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection
        self._intake: Intake
        listed = ", ".join(f'"{column.name}"' for column in columns)
        self._select = f"SELECT {listed} FROM calls"

    def open(self) -> None:
        """Open or make the file. Reads the cursors alone; what lies beyond them is taken in later."""
        try:
            self._connect()
        except sqlite3.OperationalError:
            raise  # locked, full or read-only: no reason to drop it
        except sqlite3.DatabaseError:
            self._remove()
            self._connect()
        if self._mode == "trailing":
            self._thread = threading.Thread(target=self._trail, name="journal index", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._db.close()

    def catch_up(self) -> int:
        total, behind = self._take_in(self._batch_records)
        while behind:
            count, behind = self._take_in(self._batch_records)
            total += count
        return total

    def rebuild(self) -> int:
        with self._lock:
            self._clear()
        return self.catch_up()

    def query(self, where: tuple[Where, ...] = (), *, limit: int = 50, cursor: str | None = None) -> Page:
        """Raises `invalid_request` for a column, limit or cursor that cannot be."""
        if not 1 <= limit <= LIMIT_MAX:
            raise WardwrightError("invalid_request", f"limit must lie between 1 and {LIMIT_MAX}")
        conditions, values = self._conditions(where)
        if cursor is not None:
            conditions.append("(started_at, receipt) < (?, ?)")
            values += _decoded(cursor)
        text = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = f"{self._select}{text} ORDER BY started_at DESC, receipt DESC LIMIT ?"
        with self._lock:
            behind = self._look_at_tail()
            rows: list[Row] = self._db.execute(sql, (*values, limit + 1)).fetchall()
        more = len(rows) > limit
        rows = rows[:limit]
        last = rows[-1] if more else None
        return Page(
            rows=tuple(rows),
            next=None if last is None else _encoded(last[self._started_at], last[self._receipt]),
            behind=behind,
        )

    def totals(self, asking: Asking, where: tuple[Where, ...] = (), *, limit: int = 50) -> Totals:
        """Raises `invalid_request` for a column or limit that cannot be."""
        if not 1 <= limit <= LIMIT_MAX:
            raise WardwrightError("invalid_request", f"limit must lie between 1 and {LIMIT_MAX}")
        for name in (asking.by, asking.counted.column, asking.ranked, *asking.sums):
            self._require(name)
        conditions, values = self._conditions(where)
        sql = statement(asking, conditions)
        with self._lock:
            behind = self._look_at_tail()
            rows = self._db.execute(sql, (*values, self._totals_rows_max, asking.counted.value, limit + 1)).fetchall()
        return Totals(
            behind=behind,
            groups=tuple(total_of(row, asking) for row in rows[:limit]),
            more=len(rows) > limit,
            older=bool(rows) and rows[0][0] >= self._totals_rows_max,
        )

    def get(self, receipt: str) -> tuple[Record, ...]:
        with self._lock:
            self._look_at_tail()
            places = self._db.execute(
                "SELECT writer, chain, places.segment, places.offset, places.bytes FROM places"
                " JOIN sources ON sources.id = source WHERE receipt = ? ORDER BY writer, places.segment, places.offset",
                (receipt,),
            ).fetchall()
        records = []
        for writer, chain, segment, offset, size in places:
            line = self._reader.line_at(ChainKey(writer, chain), Cursor(segment, offset), size)
            record = None if line is None else read(line)
            if record is not None and receipt_of(record) == receipt:
                records.append(record)
        return tuple(records)

    def _look_at_tail(self) -> bool:
        """Whether records remain beyond what may be taken in for one question, or cannot be taken in."""
        try:
            return self._take_in(TAIL_RECORDS_MAX)[1]
        except (sqlite3.Error, WardwrightError):
            return True

    def _take_in(self, records_max: int) -> tuple[int, bool]:
        """How many records were taken in, and whether more are there. Raises what `failure` then holds."""
        with self._lock:
            total, remade = 0, False
            try:
                while total < records_max:
                    try:
                        count = self._intake.batch(self._batch_records)
                    except Stale:
                        self._clear()
                        continue
                    except sqlite3.OperationalError:
                        raise
                    except sqlite3.DatabaseError:
                        if remade:
                            raise
                        remade = True
                        self._db.close()
                        self._remove()
                        self._connect()
                        continue
                    total += count
                    if count < self._batch_records:
                        self.failure = None
                        return total, False
                return total, True
            except (sqlite3.Error, WardwrightError) as error:
                self.failure = error
                raise

    # The file

    def _connect(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False)
        self._db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._intake = Intake(self._db, self.columns, self._row_of, self._reader)
        shape = self._shape()
        try:
            with transaction(self._db):
                self._db.execute("CREATE TABLE IF NOT EXISTS shape (digest TEXT NOT NULL)")
                found = self._db.execute("SELECT digest FROM shape").fetchone()
                if found is None or found[0] != shape:
                    self._make(shape)
        except BaseException:
            self._db.close()
            raise

    def _shape(self) -> str:
        text = "\n".join((*SCHEMA, *create_calls(self.columns)))
        return hashlib.sha256(text.encode()).hexdigest()

    def _make(self, shape: str) -> None:
        for table in ("calls", "places", "sources"):
            self._db.execute(f"DROP TABLE IF EXISTS {table}")
        for sql in (*SCHEMA, *create_calls(self.columns)):
            self._db.execute(sql)
        self._db.execute("DELETE FROM shape")
        self._db.execute("INSERT INTO shape VALUES (?)", (shape,))

    def _clear(self) -> None:
        with transaction(self._db):
            self._make(self._shape())

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _trail(self) -> None:
        while not self._stop.wait(self._delay_s):
            try:
                self.catch_up()
            except Exception as error:
                self.failure = error

    def _conditions(self, where: tuple[Where, ...]) -> tuple[list[str], list[str | int | None]]:
        conditions: list[str] = []
        values: list[str | int | None] = []
        for one in where:
            self._require(one.column)
            if one.op == "unset":
                conditions.append(f'"{one.column}" IS NULL')
                continue
            if one.op == "has":
                conditions.append(f"""instr(' ' || "{one.column}" || ' ', ' ' || ? || ' ') > 0""")
            else:
                conditions.append(f'"{one.column}" {_OPS[one.op]} ?')
            values.append(one.value)
        return conditions, values

    def _require(self, column: str) -> None:
        if column not in self._names:
            raise WardwrightError("invalid_request", f"receipts have no column {column!r}", place=Place(path=column))


def _encoded(started_at: str | int | None, receipt: str | int | None) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([started_at, receipt])).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=tuple[int, str])
    except (ValueError, msgspec.MsgspecError) as error:
        raise WardwrightError(
            "invalid_request", "the cursor is not one that this index gave", place=Place(path="cursor")
        ) from error
