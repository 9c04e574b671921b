"""The projection: questions, pages, the unindexed tail, damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from wardwright.journal.entry import Entry, Record
from wardwright.journal.life import CLOSED, LOST, OPENED
from wardwright.journal.rows import Row, columns_of, row_of, value_of
from wardwright.journal.store import Asking, ChainKey, Total, Where
from wardwright.kernel.errors import WardwrightError
from wardwright.storage.index import BUSY_S, LIMIT_MAX, SqliteIndex
from wardwright.testing.determinism import HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the test's own calls, and their row."""

    model: str
    receipt: str
    started_at: int
    stream: bool = False
    tokens: int | None = None


COLUMNS = columns_of(Call, frozenset({"model"}))
TOGETHER_MAX = 40
ASKING = Asking(by="model", counted=Where("stream", "eq", 0), percents=(50, 95), ranked="tokens", sums=("tokens",))


def call_row(record: Record, opened: Record | None) -> Row | None:
    return row_of(msgspec.json.decode((opened or record).data, type=Call))


class World:
    def __init__(self, path: Path) -> None:
        self.store = MemoryStore()
        self.loop = HandLoop()
        self.writer = MemoryJournal(self.store, loop=self.loop, clock=HandClock(), segment_bytes_max=2000)
        self.writer.open()
        self.path = path
        self.index = self.opened()

    def opened(self, busy_s: float = BUSY_S) -> SqliteIndex:
        index = SqliteIndex(
            self.path,
            COLUMNS,
            call_row,
            self.store,
            mode="deferred",
            batch_records=7,
            totals_rows_max=TOGETHER_MAX,
            busy_s=busy_s,
        )
        index.open()
        return index

    def reopen(self, busy_s: float = BUSY_S) -> None:
        self.index.close()
        self.index = self.opened(busy_s)

    def put(
        self, number: int, *kinds: str, model: str = "coding", at: int | None = None, tokens: int | None = None
    ) -> None:
        data = Call(model=model, receipt=f"rcp_{number:04d}", started_at=number if at is None else at, tokens=tokens)
        for kind in kinds:
            self.writer.put(Entry(kind, data, at=0))
        self.loop.turn()

    def found(self, *where: Where, limit: int = LIMIT_MAX) -> list[str]:
        return [value_of(row, Call).receipt for row in self.index.query(where, limit=limit).rows]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "index.sqlite")
    yield made
    made.index.close()


def test_a_call_is_found_as_soon_as_it_lies_in_a_segment(world: World) -> None:
    for number in range(20):
        world.put(number, OPENED, CLOSED)
        assert world.found(limit=1) == [f"rcp_{number:04d}"]


def test_an_open_call_has_no_row_yet(world: World) -> None:
    world.put(1, OPENED)
    assert world.found() == []
    assert [record.kind for record in world.index.get("rcp_0001")] == [OPENED]


def test_a_calls_records_come_oldest_first(world: World) -> None:
    world.put(1, OPENED)
    world.put(2, OPENED, CLOSED)
    world.put(1, CLOSED)
    assert [record.kind for record in world.index.get("rcp_0001")] == [OPENED, CLOSED]
    assert world.index.get("rcp_9999") == ()


def test_a_lost_call_has_the_row_of_its_opening(world: World) -> None:
    world.put(1, OPENED, model="lost-one")
    world.writer.kill()
    world.writer = MemoryJournal(world.store, loop=world.loop, clock=HandClock())
    world.writer.open()
    assert world.found(Where("model", "eq", "lost-one")) == ["rcp_0001"]
    assert [record.kind for record in world.index.get("rcp_0001")] == [OPENED, LOST]


def test_rows_come_newest_first_and_ties_fall_by_receipt(world: World) -> None:
    for number, at in ((1, 5), (2, 9), (3, 5), (4, 7)):
        world.put(number, CLOSED, at=at)
    assert world.found() == ["rcp_0002", "rcp_0004", "rcp_0003", "rcp_0001"]


def test_rows_are_taken_together_by_a_column_the_largest_group_first(world: World) -> None:
    for number in range(1, 21):
        world.put(number, CLOSED, model="a", tokens=number)
    world.put(21, CLOSED, model="b", tokens=7)
    totals = world.index.totals(ASKING)
    assert totals.groups == (
        Total(counted=20, ranks=(10, 19), rows=20, sums=(210,), value="a"),
        Total(counted=1, ranks=(7, 7), rows=1, sums=(7,), value="b"),
    )
    assert (totals.more, totals.older, totals.behind) == (False, False, False)


def test_rows_without_a_value_are_a_group_and_count_nothing(world: World) -> None:
    world.put(1, CLOSED)
    (total,) = world.index.totals(msgspec.structs.replace(ASKING, by="tokens")).groups
    assert total == Total(counted=1, ranks=(0, 0), rows=1, sums=(0,), value=None)


def test_totals_heed_conditions_and_say_what_they_leave_out(world: World) -> None:
    for number in range(TOGETHER_MAX + 5):
        world.put(number, CLOSED, model=f"m{number % 3}", tokens=1)
    totals = world.index.totals(ASKING, limit=2)
    assert (len(totals.groups), totals.more, totals.older) == (2, True, True)
    (only,) = world.index.totals(ASKING, (Where("model", "eq", "m1"), Where("started_at", "min", 30))).groups
    assert (only.value, only.rows) == ("m1", 5)


@pytest.mark.parametrize("wrong", [{"by": "nothing"}, {"ranked": "x"}, {"sums": ("tokens", "x")}])
def test_totals_by_a_column_that_is_not_there_are_refused(world: World, wrong: dict[str, str]) -> None:
    with pytest.raises(WardwrightError, match="no column"):
        world.index.totals(msgspec.structs.replace(ASKING, **wrong))


def test_pages_meet_without_gap_or_overlap(world: World) -> None:
    for number in range(23):
        world.put(number, CLOSED, at=number // 4)
    whole, pages, cursor = world.found(), [], None
    while True:
        page = world.index.query(limit=5, cursor=cursor)
        pages += [value_of(row, Call).receipt for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert pages == whole
    assert len(whole) == 23


def test_a_page_is_not_disturbed_by_newer_calls(world: World) -> None:
    for number in range(6):
        world.put(number, CLOSED)
    first = world.index.query(limit=3)
    world.put(99, CLOSED)
    second = world.index.query(limit=3, cursor=first.next)
    assert [value_of(row, Call).started_at for row in second.rows] == [2, 1, 0]


def test_conditions_are_all_met(world: World) -> None:
    for number in range(10):
        world.put(number, CLOSED, model="a" if number % 2 else "b")
    assert world.found(Where("model", "eq", "a"), Where("started_at", "min", 3), Where("started_at", "max", 7)) == [
        "rcp_0007",
        "rcp_0005",
        "rcp_0003",
    ]


def test_rows_without_a_value_are_found_by_its_absence(world: World) -> None:
    world.put(1, CLOSED)
    assert world.found(Where("tokens", "unset")) == ["rcp_0001"]
    assert world.found(Where("model", "unset")) == []


def test_one_of_several_words_is_found_whole(world: World) -> None:
    for number, words in enumerate(["a/b", "a/b-c", "x/y a/b z/z", "xa/b"]):
        world.put(number, CLOSED, model=words)
    assert world.found(Where("model", "has", "a/b")) == ["rcp_0002", "rcp_0000"]
    assert world.found(Where("model", "has", "%")) == []


@pytest.mark.parametrize("column", ["nothing", 'model" OR 1=1 --', "source_"])
def test_a_column_that_is_none_is_refused(world: World, column: str) -> None:
    with pytest.raises(WardwrightError, match="no column"):
        world.index.query((Where(column, "eq", "x"),))


@pytest.mark.parametrize("limit", [0, -1, LIMIT_MAX + 1])
def test_a_limit_out_of_bounds_is_refused(world: World, limit: int) -> None:
    with pytest.raises(WardwrightError, match="limit must lie"):
        world.index.query(limit=limit)


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "WyJhIiwxXQ"])
def test_a_cursor_of_another_make_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(WardwrightError, match="cursor"):
        world.index.query(cursor=cursor)


def test_a_restart_goes_on_from_the_cursor(world: World) -> None:
    for number in range(10):
        world.put(number, CLOSED)
    taken = world.index.catch_up()
    world.reopen()
    world.put(10, CLOSED)
    assert world.index.catch_up() < taken
    assert len(world.found()) == 11


def test_deleting_the_file_loses_nothing(world: World) -> None:
    for number in range(10):
        world.put(number, OPENED, CLOSED)
    before = world.found()
    world.index.close()
    world.path.unlink()
    world.index = world.opened()
    assert world.found() == before


def test_a_damaged_file_is_made_anew(world: World) -> None:
    world.put(1, CLOSED)
    world.index.catch_up()
    world.index.close()
    world.path.write_bytes(b"not a database at all" * 400)
    world.index = world.opened()
    assert world.found() == ["rcp_0001"]


def test_other_columns_are_made_anew(world: World) -> None:
    world.put(1, CLOSED)
    world.index.catch_up()
    world.index.close()
    columns = columns_of(Call, frozenset({"model", "stream"}))
    world.index = SqliteIndex(world.path, columns, call_row, world.store, mode="deferred")
    world.index.open()
    assert world.found() == ["rcp_0001"]


def test_records_that_a_crash_took_back_are_taken_back_here(world: World) -> None:
    key = ChainKey(world.writer.writer, "calls")
    world.put(1, CLOSED)
    kept = len(world.store.content[key][1])
    world.put(2, CLOSED)
    assert world.found() == ["rcp_0002", "rcp_0001"]
    world.writer.kill()
    del world.store.content[key][1][kept:]
    world.writer = MemoryJournal(world.store, loop=world.loop, clock=HandClock())
    world.writer.open()
    world.put(3, CLOSED)
    assert world.found() == ["rcp_0003", "rcp_0001"]


def test_a_torn_tail_is_not_taken_in(world: World) -> None:
    world.put(1, CLOSED)
    key = ChainKey(world.writer.writer, "calls")
    world.store.content[key][1] += b'{"actor":"gate'
    assert world.found() == ["rcp_0001"]


def test_a_broken_line_is_told_and_what_stands_before_it_is_served(world: World) -> None:
    world.put(1, CLOSED)
    key = ChainKey(world.writer.writer, "calls")
    world.store.content[key][1] += b"nonsense\n"
    assert world.found() == ["rcp_0001"]
    assert world.index.query().behind
    assert isinstance(world.index.failure, WardwrightError)


def test_rows_of_retired_segments_go(world: World) -> None:
    for number in range(20):
        world.put(number, CLOSED)
    key = ChainKey(world.writer.writer, "calls")
    assert len(world.found()) == 20
    del world.store.content[key][1]
    left = world.found()
    assert 0 < len(left) < 20
    world.index.rebuild()
    assert world.found() == left


def test_two_processes_share_one_file(world: World) -> None:
    other = world.opened()
    for number in range(30):
        world.put(number, OPENED, CLOSED)
        (other if number % 2 else world.index).catch_up()
    assert len(other.query(limit=LIMIT_MAX).rows) == len(world.found()) == 30
    other.close()


def test_a_busy_file_is_behind_and_not_dropped(world: World) -> None:
    world.put(1, CLOSED)
    world.index.catch_up()
    world.reopen(busy_s=0.01)
    holder = sqlite3.connect(world.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    world.put(2, CLOSED)
    page = world.index.query()
    assert (len(page.rows), page.behind) == (1, True)
    holder.execute("ROLLBACK")
    holder.close()
    assert (len(world.found()), world.index.failure) == (2, None)


def test_the_trailing_thread_takes_records_in(world: World) -> None:
    world.put(1, CLOSED)
    index = SqliteIndex(world.path, COLUMNS, call_row, world.store, delay_s=0.001)
    index.open()
    watcher = sqlite3.connect(world.path)
    world.loop.call_soon_threadsafe(lambda: None)
    while not watcher.execute("SELECT count(*) FROM calls").fetchone()[0]:
        watcher.execute("SELECT 1")
    watcher.close()
    index.close()
