"""The work queue on disk: the ledger in memory decides, one thread writes what it decided to SQLite.

Rule 1: the event loop's thread never touches the disk. A change is noted for the thread, which commits all that have
gathered in one transaction (WAL, synced at every commit).
Rule 2: changes of one job replace each other while they wait, so what waits for the disk is bounded by the ledger.
Rule 3: what cannot be committed stays, and is tried again after RETRY_S. Meanwhile work goes on in memory and `failure`
says why a crash would now lose or repeat some of it.
Rule 4: one process holds the file, the one that holds the state directory's lock. The epoch is raised and committed
before anything is leased, so that no fencing token is given out twice.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from wardwright.journal.entry import Durable
from wardwright.journal.work_ledger import Place, WorkLedger
from wardwright.journal.work_queue import Bounds, Job
from wardwright.kernel.errors import Place as Spot
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import Clock
from wardwright.storage.database import transaction
from wardwright.storage.files import make_dir
from wardwright.storage.ledger_queue import LedgerQueue
from wardwright.storage.pending import Loop

RETRY_S: Final = 1.0
"""How long the thread rests after a commit that failed."""
CLOSE_TIMEOUT_S: Final = 30.0
_BUSY_S: Final = 10.0

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS epoch (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS jobs (
        lane TEXT NOT NULL, key TEXT NOT NULL, job BLOB NOT NULL, PRIMARY KEY (lane, key)) WITHOUT ROWID""",
)
_PUT: Final = "INSERT INTO jobs VALUES (?, ?, ?) ON CONFLICT (lane, key) DO UPDATE SET job = excluded.job"
_DROP: Final = "DELETE FROM jobs WHERE lane = ? AND key = ?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Job).decode


class SqliteWorkQueue(LedgerQueue):
    """One queue file. Construct, `open` on the loop it will live on, `drain`, `close`.

    Implements `journal.work_queue.WorkQueue` and `WorkDesk`.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        bounds: Mapping[str, Bounds] | None = None,
        on_failure: Callable[[Exception | None], None] = lambda failure: None,
    ) -> None:
        """`on_failure` hears on the event loop when the file cannot be written, and None when it can be again."""
        super().__init__(WorkLedger(epoch=0), clock)
        self.failure: Exception | None = None
        self.path = path
        self._bounds = bounds
        self._on_failure = on_failure
        self._loop: Loop
        self._thread: threading.Thread | None = None
        # Between the loop's thread and the writer's:
        self._guard = threading.Lock()
        self._changes: dict[Place, Job | None] = {}
        self._heard: list[Durable] = []
        self._stop = threading.Event()
        self._wake = threading.Event()

    def open(self, loop: Loop) -> None:
        """Take up the jobs that are there. Reads the whole file; raises `queue_broken` for one that is damaged."""
        make_dir(self.path.parent)
        try:
            db = _connected(self.path)
            try:
                with transaction(db):
                    for sql in _SCHEMA:
                        db.execute(sql)
                    db.execute(
                        "INSERT INTO epoch VALUES (1, 1) ON CONFLICT (only) DO UPDATE SET value = epoch.value + 1"
                    )
                jobs, epoch = _read(db)
            finally:
                db.close()
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise _broken(self.path, error) from error
        self._ledger = WorkLedger(jobs, bounds=self._bounds, epoch=epoch, now=self._clock.now_us())
        self._loop = loop
        self._draining = False
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="work queue", daemon=True)
        self._thread.start()
        self._note(None)

    def close(self) -> None:
        """Write what is left and stop. Blocks for at most CLOSE_TIMEOUT_S; harmless when repeated.

        Raises `queue_broken` when the disk does not take it.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stop.set()
        self._wake.set()
        thread.join(CLOSE_TIMEOUT_S)
        if thread.is_alive() or self._changes:
            raise _broken(self.path, self.failure or TimeoutError("the disk does not answer"))

    def abandon(self) -> None:
        """End as a process does that is killed: what is not on disk is lost."""
        thread, self._thread = self._thread, None
        with self._guard:
            self._changes, self._heard = {}, []
        self._stop.set()
        self._wake.set()
        if thread is not None:
            thread.join(CLOSE_TIMEOUT_S)

    # -- from the loop's thread to the writer's ------------------------------------------------------------------------

    def _note(self, durable: Durable | None) -> None:
        changes = self._ledger.take_changes()
        with self._guard:
            self._changes.update(changes)
            if durable is not None:
                self._heard.append(durable)
        self._wake.set()

    # -- on the writer's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        failure: Exception | None = None
        while True:
            self._wake.wait()
            self._wake.clear()
            stopping = self._stop.is_set()
            with self._guard:
                changes, self._changes = self._changes, {}
                heard, self._heard = self._heard, []
            before = failure
            try:
                if changes:
                    db = db or _connected(self.path)
                    _commit(db, changes)
                    failure = None
            except sqlite3.Error as error:
                failure = error
                with self._guard:
                    self._changes = changes | self._changes
                if db is not None:
                    db.close()
                    db = None
            if heard or (failure is None) != (before is None):
                self._hand_over(heard, failure, changed=(failure is None) != (before is None))
            if stopping:
                if db is not None:
                    db.close()
                return
            if failure is not None:
                self._stop.wait(RETRY_S)
                self._wake.set()

    def _hand_over(self, heard: list[Durable], failure: Exception | None, *, changed: bool) -> None:
        def tell() -> None:
            self.failure = failure
            if changed:
                self._on_failure(failure)
            for durable in heard:
                durable(failure)

        try:
            self._loop.call_soon_threadsafe(tell)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return


def stored_jobs(path: Path) -> tuple[Job, ...]:
    """The jobs of a file that nobody holds, or none where there is no file. Raises `queue_broken`."""
    if not path.exists():
        return ()
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        try:
            # The process that makes the file may be about to: a queue without tables has no jobs yet.
            made = db.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('epoch', 'jobs')").fetchone()
            return _read(db)[0] if made == (2,) else ()
        finally:
            db.close()
    except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
        raise _broken(path, error) from error


def _connected(path: Path) -> sqlite3.Connection:
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _commit(db: sqlite3.Connection, changes: Mapping[Place, Job | None]) -> None:
    with transaction(db):
        db.executemany(_PUT, [(*place, _encode(job)) for place, job in changes.items() if job is not None])
        db.executemany(_DROP, [place for place, job in changes.items() if job is None])


def _read(db: sqlite3.Connection) -> tuple[tuple[Job, ...], int]:
    jobs = tuple(_decode(row[0]) for row in db.execute("SELECT job FROM jobs"))
    (epoch,) = db.execute("SELECT value FROM epoch").fetchone() or (0,)
    return jobs, int(epoch)


def _broken(path: Path, cause: Exception) -> WardwrightError:
    return WardwrightError(
        "queue_broken",
        f"the work queue cannot be used: {cause}",
        place=Spot(file=str(path)),
        hint="should it be damaged, move it away: undelivered alerts go with it, calls and approvals do not",
    )
