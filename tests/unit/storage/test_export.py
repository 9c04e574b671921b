"""Export: the canonical lines, in an order that never changes."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.journal.entry import Entry
from wardwright.journal.record import parse
from wardwright.journal.store import ChainKey
from wardwright.storage.export import export
from wardwright.testing.determinism import HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore


class Note(msgspec.Struct, frozen=True):
    note: int


@pytest.fixture
def store() -> MemoryStore:
    """Two writers, two chains, one record each 10 µs."""
    store, loop, clock = MemoryStore(), HandLoop(), HandClock()
    for slot in ("gateway-0", "gateway-1"):
        writer = MemoryJournal(store, loop=loop, clock=clock, slot=slot, segment_bytes_max=1000)
        writer.open()
        for number in range(10):
            writer.put(Entry("test", Note(number), at=number * 10, chain="control" if number % 3 == 0 else "calls"))
            loop.turn()
        writer.kill()
    return store


def test_everything_comes_in_the_order_of_lam_then_writer(store: MemoryStore) -> None:
    records = [parse(line[:-1]) for line in export(store)]
    order = [(record.lam, record.writer, record.seq) for record in records]
    assert order == sorted(order)
    assert {record.chain for record in records} == {"control", "calls"}
    assert sum(record.kind == "test" for record in records) == 20


def test_the_same_journal_gives_the_same_bytes(store: MemoryStore) -> None:
    assert b"".join(export(store)) == b"".join(export(store))


def test_one_chain_is_its_segments_bytes(store: MemoryStore) -> None:
    key = ChainKey("node_test/gateway-0", "calls")
    whole = b"".join(bytes(segment) for _, segment in sorted(store.content[key].items()))
    assert b"".join(export(store, chain="calls", writer="node_test/gateway-0")) == whole


def test_a_time_is_cut_out_with_its_start_and_without_its_end(store: MemoryStore) -> None:
    records = [parse(line[:-1]) for line in export(store, writer="node_test/gateway-1", since_us=20, until_us=50)]
    assert [record.at for record in records if record.kind == "test"] == [20, 30, 40]


def test_a_torn_tail_is_left_out(store: MemoryStore) -> None:
    before = b"".join(export(store))
    key = ChainKey("node_test/gateway-0", "calls")
    store.content[key][max(store.content[key])] += b'{"half'
    assert b"".join(export(store)) == before
