"""History across restarts: rows, then the journal's tail, and a store that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from parts.pasts import LADDER, NOW_US, POLICY, asking, call, history, state
from wardwright.journal.entry import Entry, Record
from wardwright.journal.life import CLOSED
from wardwright.journal.state import StateStore
from wardwright.limits.events import CallEvents
from wardwright.limits.history import NAME, History
from wardwright.runtime.history import ROWS_MAX, HistoryKeeper
from wardwright.storage.state import SqliteStateStore
from wardwright.testing.determinism import HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore
from wardwright.testing.state import MemoryStateStore

SEEN = state(scope="user")


class World:
    """A journal and a state store that outlive the process that writes them."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self.segments = MemoryStore()
        self.loop = HandLoop()
        self.journal = MemoryJournal(self.segments, loop=self.loop, clock=HandClock())
        self.journal.open()
        self.calls = 0
        self.read = 0
        self.start()

    def start(self) -> None:
        """A new process."""
        self.read = 0
        self.history: History = history(SEEN, machines=(LADDER,))
        self.keeper = HistoryKeeper(self.history, self.store, self.segments, self.events_of, writer=self.journal.writer)
        self.keeper.start()

    def events_of(self, record: Record) -> CallEvents | None:
        self.read += 1
        return msgspec.json.decode(record.data, type=CallEvents) if record.kind == CLOSED else None

    def end(self, count: int, *labels: str, users: int = 1) -> None:
        for _ in range(count):
            self.calls += 1
            ended = self.history.settle(call(self.calls, *labels, user=f"u{self.calls % users}"), NOW_US)
            self.journal.put(Entry(CLOSED, ended, at=NOW_US))
        self.loop.turn()

    def save(self) -> int:
        return asyncio.run(self.keeper.save(NOW_US))

    def failed(self) -> bool:
        return self.keeper.failure is not None

    def found(self) -> tuple[object, object]:
        current = call(9999, user="u0")
        return self.history.read(POLICY, SEEN, asking(current)), self.history.machine(POLICY, LADDER, current)


def test_a_restart_finds_what_was_saved_and_what_came_after(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.sqlite")
    store.open()
    world = World(store)
    world.end(3, "a")
    world.save()
    world.end(2, "a")
    world.end(1, "b")
    before = world.found()
    world.start()

    assert world.found() == before == (5, "normal")
    assert world.read == 3
    store.close()


def test_a_store_that_was_lost_is_folded_again() -> None:
    world = World(MemoryStateStore())
    world.end(4, "a")
    world.save()
    world.store.clear(NAME)
    world.start()

    assert world.found() == (4, "review")


def test_rows_may_be_ahead_of_the_cursor() -> None:
    """The process ends between a batch of rows and the cursor."""
    world = World(MemoryStateStore())
    world.end(3, "a")
    rows = world.history.changes(NOW_US, ROWS_MAX)
    world.store.save(NAME, {row.key: row.value for row in rows}, ())
    before = world.found()
    world.start()

    assert world.found() == before


def test_what_could_not_be_stored_comes_with_the_next_save() -> None:
    store = MemoryStateStore()
    world = World(store)
    world.end(3, "a")
    store.broken = True
    assert (world.save(), world.failed()) == (0, True)

    store.broken = False
    assert (world.save() > 0, world.failed()) == (True, False)
    world.start()
    assert (world.found(), world.read) == ((3, "review"), 0)


def test_more_than_a_batch_is_stored_in_batches() -> None:
    world = World(MemoryStateStore())
    world.end(ROWS_MAX + 50, "a", users=ROWS_MAX + 50)

    assert world.save() >= ROWS_MAX + 50
    world.start()
    assert (world.found()[0], world.read) == (1, 0)
