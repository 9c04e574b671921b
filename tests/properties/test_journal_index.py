"""The projection is a function of the journal: however it was kept up, it holds what a rebuild would."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from wardwright.journal.entry import Entry, Record
from wardwright.journal.life import CLOSED, OPENED
from wardwright.journal.rows import Row, columns_of, row_of, value_of
from wardwright.journal.store import Asking, ChainKey, Total, Where
from wardwright.storage.index import SqliteIndex
from wardwright.testing.determinism import HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import MemoryJournal, MemoryStore


class Call(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    receipt: str
    session: str | None
    started_at: int
    stream: bool
    tokens: int


COLUMNS = columns_of(Call, frozenset({"model", "session"}))
CALLS = ChainKey("node_test/gateway-0", "calls")
CALL = st.builds(
    Call,
    model=st.sampled_from(["a", "b", "ü"]),
    receipt=st.integers(0, 40).map(lambda number: f"rcp_{number:03d}"),
    session=st.none() | st.sampled_from(["s", "t"]),
    started_at=st.integers(0, 12),
    stream=st.booleans(),
    tokens=st.integers(0, 5),
)
STEP = st.one_of(
    st.tuples(st.just("open"), CALL),
    st.tuples(st.just("close"), CALL),
    st.just(("restart", None)),
    st.just(("look", None)),
    st.just(("retire", None)),
)
WHERE = st.one_of(
    st.builds(Where, st.just("model"), st.just("eq"), st.sampled_from(["a", "b", "ü", "none"])),
    st.builds(Where, st.just("session"), st.just("eq"), st.sampled_from(["s", "t"])),
    st.builds(Where, st.just("stream"), st.just("eq"), st.integers(0, 1)),
    st.builds(Where, st.sampled_from(["started_at", "tokens"]), st.sampled_from(["min", "max"]), st.integers(0, 12)),
)


def call_row(record: Record, opened: Record | None) -> Row | None:
    return row_of(msgspec.json.decode((opened or record).data, type=Call))


@contextlib.contextmanager
def opened_index(path: Path, store: MemoryStore, batch_records: int) -> Iterator[SqliteIndex]:
    index = SqliteIndex(path, COLUMNS, call_row, store, mode="deferred", batch_records=batch_records)
    index.open()
    try:
        yield index
    finally:
        index.close()


def everything(index: SqliteIndex) -> tuple[tuple[Row, ...], dict[str, list[str]]]:
    rows = index.query(limit=500).rows
    lives = {f"rcp_{number:03d}": [record.id for record in index.get(f"rcp_{number:03d}")] for number in range(41)}
    return rows, lives


def played(store: MemoryStore, index: SqliteIndex, steps: list[tuple[str, Call | None]]) -> None:
    loop = HandLoop()

    def writing() -> MemoryJournal:
        writer = MemoryJournal(store, loop=loop, clock=HandClock(), segment_bytes_max=1500)
        writer.open()
        return writer

    writer = writing()
    for step, call in steps:
        if call is not None:
            writer.put(Entry(OPENED if step == "open" else CLOSED, call, at=0))
            loop.turn()
        elif step == "restart":
            writer.kill()
            writer = writing()
        elif step == "look":
            index.catch_up()
        elif len(store.segments(CALLS)) > 2:
            del store.content[CALLS][store.segments(CALLS)[0]]
    writer.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=40), st.integers(1, 9))
def test_a_rebuild_equals_what_was_kept_up(steps: list[tuple[str, Call | None]], batch_records: int) -> None:
    store = MemoryStore()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "index.sqlite"
        with opened_index(path, store, batch_records) as index:
            played(store, index, steps)
            kept_up = everything(index)
            index.rebuild()
            assert everything(index) == kept_up
        path.unlink()
        with opened_index(path, store, 500) as index:
            assert everything(index) == kept_up


@settings(max_examples=40, deadline=None)
@given(st.lists(CALL, max_size=25, unique_by=lambda call: call.receipt), st.lists(WHERE, max_size=3), st.integers(1, 6))
def test_questions_are_answered_as_by_looking_at_every_call(calls: list[Call], where: list[Where], limit: int) -> None:
    store = MemoryStore()
    with (
        tempfile.TemporaryDirectory() as directory,
        opened_index(Path(directory) / "index.sqlite", store, 500) as index,
    ):
        played(store, index, [("close", call) for call in calls])
        wanted = [call for call in calls if all(meets(call, one) for one in where)]
        wanted.sort(key=lambda call: (call.started_at, call.receipt), reverse=True)
        found: list[Call] = []
        cursor = None
        while True:
            page = index.query(tuple(where), limit=limit, cursor=cursor)
            assert len(page.rows) <= limit
            found += [value_of(row, Call) for row in page.rows]
            cursor = page.next
            if cursor is None:
                break
        assert found == wanted


@settings(max_examples=40, deadline=None)
@given(
    st.lists(CALL, max_size=25, unique_by=lambda call: call.receipt),
    st.lists(WHERE, max_size=2),
    st.sampled_from(["model", "session", "stream"]),
    st.integers(1, 100),
)
def test_groups_are_what_adding_up_every_call_gives(
    calls: list[Call], where: list[Where], by: str, percent: int
) -> None:
    store = MemoryStore()
    asking = Asking(
        by=by, counted=Where("stream", "eq", 1), percents=(percent,), ranked="tokens", sums=("tokens", "started_at")
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        opened_index(Path(directory) / "index.sqlite", store, 500) as index,
    ):
        played(store, index, [("close", call) for call in calls])
        totals = index.totals(asking, tuple(where))
    groups: dict[str | int | None, list[Call]] = {}
    for call in calls:
        if all(meets(call, one) for one in where):
            groups.setdefault(getattr(call, by), []).append(call)
    assert {one.value: one for one in totals.groups} == {
        value: Total(
            counted=sum(call.stream for call in group),
            ranks=(sorted(call.tokens for call in group)[-(-len(group) * percent // 100) - 1],),
            rows=len(group),
            sums=(sum(call.tokens for call in group), sum(call.started_at for call in group)),
            value=value,
        )
        for value, group in groups.items()
    }
    assert [one.rows for one in totals.groups] == sorted((len(group) for group in groups.values()), reverse=True)


def meets(call: Call, where: Where) -> bool:
    value = getattr(call, where.column)
    if value is None:
        return False
    match where.op:
        case "eq":
            return bool(value == where.value)
        case "min":
            return bool(value >= where.value)
        case "max":
            return bool(value <= where.value)
        case "unset":
            return False  # it has a value
