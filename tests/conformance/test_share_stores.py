"""The kit of stores of shared limits over the one on disk and the fake in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wardwright.limits.shares import ShareStore
from wardwright.storage.shares import SqliteShareStore
from wardwright.testing import shares_kit
from wardwright.testing.shares import MemoryShareStore


class OnDisk:
    """One file, opened once a worker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[SqliteShareStore] = []

    def open(self) -> ShareStore:
        store = SqliteShareStore(self._path)
        store.open()
        self._open.append(store)
        return store

    def break_all(self) -> None:
        for store in self._open:
            store.close()


class InMemory:
    def __init__(self, _: Path) -> None:
        self._store = MemoryShareStore()

    def open(self) -> ShareStore:
        return self._store

    def break_all(self) -> None:
        self._store.broken = True


@pytest.mark.parametrize("subject", [OnDisk, InMemory])
@pytest.mark.parametrize("case", shares_kit.CASES, ids=str)
def test_share_store(case: shares_kit.Case, subject: Callable[[Path], shares_kit.Subject], tmp_path: Path) -> None:
    case.run(subject(tmp_path / "shares.sqlite"))


def test_a_file_that_is_no_database_is_made_anew_and_nobody_has_joined(tmp_path: Path) -> None:
    path = tmp_path / "shares.sqlite"
    path.write_bytes(b"no database " * 1000)
    store = SqliteShareStore(path)
    store.open()

    assert store.joined() == frozenset()
    store.close()
