"""The kit of state stores over the one on disk and the fake in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardwright.journal.state import StateStore
from wardwright.storage.state import SqliteStateStore
from wardwright.testing import state_kit
from wardwright.testing.state import MemoryStateStore


class OnDisk:
    """A file that outlives the store that has it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: SqliteStateStore | None = None

    def open(self) -> StateStore:
        if self._open is not None:
            self._open.close()
        self._open = SqliteStateStore(self._path)
        self._open.open()
        return self._open

    def break_disk(self) -> None:
        assert self._open is not None
        self._open.close()


class InMemory:
    """What the fake holds."""

    def __init__(self) -> None:
        self._store = MemoryStateStore()

    def open(self) -> StateStore:
        self._store.broken = False
        return self._store

    def break_disk(self) -> None:
        self._store.broken = True


@pytest.mark.parametrize("case", state_kit.CASES, ids=str)
def test_the_store_on_disk_keeps_the_promises(case: state_kit.Case, tmp_path: Path) -> None:
    case.run(OnDisk(tmp_path / "state.sqlite"))


@pytest.mark.parametrize("case", state_kit.CASES, ids=str)
def test_the_fake_keeps_the_promises(case: state_kit.Case) -> None:
    case.run(InMemory())
