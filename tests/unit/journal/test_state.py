"""Following the journal with a projection: each record once, from where its rows end, else from the start."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from wardwright.journal.entry import Entry, Record
from wardwright.journal.life import CLOSED
from wardwright.journal.state import Reached, Snapshot, Stale, follow, restore
from wardwright.journal.store import ChainKey, Cursor
from wardwright.testing.determinism import HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore
from wardwright.testing.state import MemoryStateStore

NAME = "history"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the test's own calls."""

    receipt: str


class World:
    def __init__(self, slot: str = "gateway-0", store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.loop = HandLoop()
        self.writer = MemoryJournal(self.store, loop=self.loop, clock=HandClock(), slot=slot, segment_bytes_max=1500)
        self.writer.open()

    def put(self, *receipts: str) -> None:
        for receipt in receipts:
            self.writer.put(Entry(CLOSED, Note(receipt=receipt), at=0))
            self.loop.turn()


class Folding:
    """A projection that counts what it is told."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.told: list[str] = []

    def take(self, rows: Mapping[str, bytes]) -> None:
        self.rows = dict(rows)

    def fold(self, record: Record) -> None:
        if record.kind == CLOSED:
            receipt = msgspec.json.decode(record.data, type=Note).receipt
            self.told.append(receipt)
            self.rows[receipt] = b""


@pytest.fixture
def world() -> World:
    made = World()
    made.put("a", "b")
    return made


def test_records_are_told_once_and_the_tail_from_the_cursor(world: World) -> None:
    folding = Folding()
    reached = follow(world.store, (), folding.fold)
    assert follow(world.store, reached, folding.fold) == reached

    world.put("c")
    after = follow(world.store, reached, folding.fold)
    assert (folding.told, after > reached) == (["a", "b", "c"], True)


def test_without_a_fold_the_cursor_moves_as_far(world: World) -> None:
    reached = follow(world.store, ())
    world.put("c")

    assert follow(world.store, reached) == follow(world.store, (), Folding().fold)


def test_two_writers_are_told_in_the_order_of_the_journal(world: World) -> None:
    other = World("gateway-1", world.store)
    other.put("x")
    folding = Folding()
    reached = follow(world.store, (), folding.fold)

    assert sorted(folding.told) == ["a", "b", "x"]
    assert folding.told.index("a") < folding.told.index("b")
    assert len(reached) == 2


def test_a_restart_takes_the_rows_and_reads_the_tail_alone(world: World) -> None:
    store, before = MemoryStateStore(), Folding()
    reached = follow(world.store, (), before.fold)
    store.save(NAME, before.rows, reached)
    world.put("c")
    after = Folding()
    restore(store, world.store, NAME, after.take, after.fold)

    assert (sorted(after.rows), after.told) == (["a", "b", "c"], ["c"])


def test_rows_of_another_journal_are_cleared_and_folded_again(world: World) -> None:
    store = MemoryStateStore()
    here = follow(world.store, ())
    for wrong in (
        msgspec.structs.replace(here[0], id="0" * 64),
        msgspec.structs.replace(here[0], at=Cursor(1, 3)),
        Reached(ChainKey("node_else/gateway-0", "calls"), Cursor(1, 0), 3, "0" * 64),
    ):
        store.save(NAME, {"foreign": b""}, (wrong,))
        folding = Folding()
        restore(store, world.store, NAME, folding.take, folding.fold)

        assert (sorted(folding.rows), folding.told) == (["a", "b"], ["a", "b"])
        assert store.load(NAME) == Snapshot()


def test_a_cursor_in_a_retired_segment_keeps_its_rows(world: World) -> None:
    folding = Folding()
    reached = follow(world.store, (), folding.fold)
    world.put(*(f"r{index}" for index in range(12)))
    (key,) = (key for key in world.store.chains() if key.chain == "calls")
    assert len(world.store.segments(key)) > 2
    del world.store.content[key][reached[0].at.segment]
    store = MemoryStateStore()
    store.save(NAME, folding.rows, reached)
    after = Folding()
    restore(store, world.store, NAME, after.take, after.fold)

    assert {"a", "b", "r11"} <= after.rows.keys()
    assert "a" not in after.told


def test_a_cursor_of_a_chain_that_is_gone_is_stale(world: World) -> None:
    with pytest.raises(Stale):
        follow(world.store, (Reached(ChainKey("node_else/gateway-0", "calls"), Cursor(1, 0), 3, "x"),))
