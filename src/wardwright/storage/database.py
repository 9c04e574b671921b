"""SQLite files: changed by whole transactions, and made anew where nothing lives in them alone.

Rule 1: SQLite's errors pass through: whoever owns the file knows what its loss means, and says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds that may be made anew."""

    busy_s: float
    """How long to wait for the transactions of others."""
    shape: int
    """`user_version` of the file; another means other tables, which go."""
    synchronous: Literal["OFF", "NORMAL"]
    tables: Mapping[str, str]
    """The SQL that makes each, by its name."""


def connect(path: Path, form: Form) -> sqlite3.Connection:
    """Open or make the file. Raises OSError, and sqlite3.DatabaseError: OperationalError where it is locked, full or
    read-only, another where it is damaged."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=form.busy_s, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {form.synchronous}")
        with transaction(db):
            (shape,) = db.execute("PRAGMA user_version").fetchone()
            if shape != form.shape:
                for table, made in form.tables.items():
                    db.execute(f"DROP TABLE IF EXISTS {table}")
                    db.execute(made)
                db.execute(f"PRAGMA user_version = {form.shape}")
    except BaseException:
        db.close()
        raise
    return db


def made_anew(path: Path, form: Form) -> sqlite3.Connection:
    """An empty file in the place of this one. Raises what `connect` raises."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return connect(path, form)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
