"""The state store on disk where the disk or the file is not what it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from wardwright.journal.state import Snapshot
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.state import SqliteStateStore


def opened(path: Path) -> SqliteStateStore:
    store = SqliteStateStore(path)
    store.open()
    return store


def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    store = opened(path)
    store.save("history", {"a": b"1"}, ())

    assert store.load("history").rows == {"a": b"1"}
    store.close()


def test_a_page_that_is_damaged_empties_the_store(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = opened(path)
    store.save("history", {f"key {index}": b"x" * 200 for index in range(200)}, ())
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    store = opened(path)

    assert store.load("history") == Snapshot()
    store.save("history", {"a": b"1"}, ())
    assert store.load("history").rows == {"a": b"1"}
    store.close()


def test_a_file_of_another_shape_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE rows (other TEXT)")
        db.execute("PRAGMA user_version = 999")
    db.close()
    store = opened(path)

    assert store.load("history") == Snapshot()
    store.close()


def test_a_closed_store_tells_so_and_keeps_its_file(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = opened(path)
    store.save("history", {"a": b"1"}, ())
    store.close()
    with pytest.raises(WardwrightError) as caught:
        store.load("history")

    assert caught.value.code == "state_write"
    again = opened(path)
    assert again.load("history").rows == {"a": b"1"}
    again.close()
