"""The conformance kit of journals: what a writer and a reader promise together, one case a promise.

Run it over your own store, from any test runner:

    @pytest.mark.parametrize("case", journal_kit.CASES, ids=str)
    def test_my_journal(case):
        case.run(lambda setting: MySubject(setting))

Rule 1: a case speaks to a `Subject`, which outlives its writers as a state directory does.
Rule 2: nothing sleeps. Callbacks arrive on a `HandLoop` that the case turns until what it waits for holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import msgspec

from wardwright.journal.checkpoint import Check, checkpoint_of
from wardwright.journal.entry import GENESIS, Chain, Entry, Record, Writer
from wardwright.journal.life import CLOSED, LOST, OPENED, TOOL_LOST, TOOL_OPENED
from wardwright.journal.record import parse
from wardwright.journal.store import ChainKey, Cursor, Reader
from wardwright.journal.verify import Incomplete, Intact, verify
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.determinism import EPOCH_US
from wardwright.testing.hand_loop import HandLoop


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a case asks of its subject."""

    pending_max: int = 1024
    segment_bytes_max: int = 1 << 20


class Subject(Protocol):
    """A journal under test. At most one writer is open at a time."""

    @property
    def loop(self) -> HandLoop: ...
    @property
    def key(self) -> str:
        """The writer's name."""
        ...

    @property
    def reader(self) -> Reader: ...
    @property
    def check(self) -> Check: ...

    def open(self) -> Writer:
        """A writer that takes the chains up where they end. Raises `journal_locked` where one is open."""
        ...

    def close(self) -> None:
        """Close the open writer in good order."""
        ...

    def kill(self) -> None:
        """End the open writer as a process does that is killed; what was told durable stays."""
        ...

    def break_disk(self) -> None:
        """From now on nothing can be written."""
        ...

    def mend_disk(self) -> None: ...


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the kit's own records."""

    note: str = ""
    receipt: str = ""


class Loose(msgspec.Struct, frozen=True, kw_only=True):
    """Data that no record may hold."""

    share: float = 0.5


class World:
    """A subject and what was put into it."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.told: dict[int, Exception | None] = {}
        self._put = 0

    def put(
        self,
        writer: Writer,
        kind: str = "test.note",
        data: msgspec.Struct | None = None,
        *,
        chain: Chain = "calls",
        at: int = EPOCH_US,
        entry: Entry | None = None,
    ) -> tuple[Entry, int]:
        """Put an entry whose outcome lands in `told` under the number answered."""
        number = self._put
        self._put += 1
        made = entry or Entry(kind, data or Note(note=str(number)), at=at, chain=chain)
        made.on_durable = lambda failure: self._tell(number, failure)
        writer.put(made)
        return made, number

    def settle(self) -> None:
        """Turn the loop until everyone was told."""
        self.subject.loop.turn_until(lambda: len(self.told) == self._put)

    def records(self, chain: Chain = "calls") -> list[Record]:
        key = ChainKey(self.subject.key, chain)
        return [parse(line.text) for line in self.subject.reader.lines(key) if line.whole]

    def kinds(self, chain: Chain = "calls") -> list[str]:
        return [record.kind for record in self.records(chain)]

    def _tell(self, number: int, failure: Exception | None) -> None:
        assert number not in self.told, "told twice"
        self.told[number] = failure


Build: TypeAlias = Callable[[Setting], Subject]


class Case:
    """One promise."""

    def __init__(self, check: Callable[[World], None], setting: Setting) -> None:
        self._check = check
        self._setting = setting
        self.name = getattr(check, "__name__", "case").replace("_", " ")

    def __str__(self) -> str:
        return self.name

    def run(self, build: Build) -> None:
        """Raises AssertionError where the promise is broken."""
        subject = build(self._setting)
        try:
            self._check(World(subject))
        finally:
            subject.mend_disk()
            with contextlib.suppress(WardwrightError):
                subject.close()


CASES: Final[list[Case]] = []


def case(setting: Setting | None = None) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Put a function among CASES."""

    def keep(check: Callable[[World], None]) -> Callable[[World], None]:
        CASES.append(Case(check, setting or Setting()))
        return check

    return keep


@case()
def a_chain_begins_at_genesis(world: World) -> None:
    world.put(world.subject.open())
    world.settle()
    (first,) = world.records()
    assert (first.seq, first.prev) == (1, GENESIS)


@case()
def each_record_follows_the_one_before_in_its_chain(world: World) -> None:
    writer = world.subject.open()
    for _ in range(5):
        world.put(writer)
        world.put(writer, chain="control")
    world.settle()
    chains: tuple[Chain, ...] = ("calls", "control")
    for chain in chains:
        records = world.records(chain)
        assert [record.seq for record in records] == [1, 2, 3, 4, 5]
        assert [record.prev for record in records[1:]] == [record.id for record in records[:-1]]


@case()
def lamport_time_runs_over_all_chains_of_a_writer(world: World) -> None:
    writer = world.subject.open()
    for chain in ("calls", "control", "control", "calls"):
        world.put(writer, chain="calls" if chain == "calls" else "control")
    world.settle()
    assert [record.lam for record in world.records("calls")] == [1, 4]
    assert [record.lam for record in world.records("control")] == [2, 3]


@case()
def at_never_runs_backwards(world: World) -> None:
    writer = world.subject.open()
    for at in (EPOCH_US + 10, EPOCH_US, EPOCH_US + 20):
        world.put(writer, at=at)
    world.settle()
    assert [record.at - EPOCH_US for record in world.records()] == [10, 10, 20]


@case()
def whoever_was_told_finds_the_record(world: World) -> None:
    entry, number = world.put(world.subject.open())
    world.settle()
    assert world.told[number] is None
    assert [record.id for record in world.records()] == [entry.id]


@case()
def a_reference_to_an_earlier_entry_carries_its_id(world: World) -> None:
    writer = world.subject.open()
    first, _ = world.put(writer)
    world.put(writer, entry=Entry("test.note", Note(), at=EPOCH_US, refs=(("intent", first),)))
    world.settle()
    (ref,) = world.records()[1].refs
    assert (ref.rel, ref.id) == ("intent", first.id)


@case()
def a_closed_journal_is_intact(world: World) -> None:
    writer = world.subject.open()
    world.put(writer)
    world.put(writer, chain="control")
    world.subject.close()
    assert {type(verdict) for verdict in verify(world.subject.reader, world.subject.check)} == {Intact}


@case()
def a_journal_that_is_being_written_is_incomplete(world: World) -> None:
    world.put(world.subject.open())
    world.settle()
    (verdict,) = verify(world.subject.reader, world.subject.check)
    assert isinstance(verdict, Incomplete)


@case()
def closing_without_records_writes_none(world: World) -> None:
    world.subject.open()
    world.subject.close()
    assert world.subject.reader.chains() == ()


@case()
def a_reopened_chain_goes_on_where_it_ended(world: World) -> None:
    for _ in range(3):
        world.put(world.subject.open())
        world.subject.close()
    assert [record.seq for record in world.records()] == [1, 2, 3, 4, 5, 6]
    assert isinstance(verify(world.subject.reader, world.subject.check)[0], Intact)


@case()
def a_killed_writers_records_stay_and_its_chain_goes_on(world: World) -> None:
    world.put(world.subject.open())
    world.settle()
    world.subject.kill()
    world.put(world.subject.open())
    world.settle()
    world.subject.close()
    assert world.kinds() == ["test.note", "test.note", "journal.checkpoint"]
    assert isinstance(verify(world.subject.reader, world.subject.check)[0], Intact)


@case()
def a_second_writer_is_refused(world: World) -> None:
    world.subject.open()
    code = ""
    try:
        world.subject.open()
    except WardwrightError as error:
        code = error.code
    assert code == "journal_locked"


@case()
def an_open_call_of_a_killed_writer_is_lost_once(world: World) -> None:
    writer = world.subject.open()
    for receipt in ("rcp_a", "rcp_b"):
        world.put(writer, OPENED, Note(receipt=receipt))
    world.put(writer, CLOSED, Note(receipt="rcp_a"))
    world.settle()
    world.subject.kill()
    world.subject.open()
    world.subject.kill()
    world.subject.open()
    assert world.kinds().count(LOST) == 1
    (lost,) = (record for record in world.records() if record.kind == LOST)
    assert b'"receipt":"rcp_b"' in bytes(lost.data)
    assert lost.refs[0].id == world.records()[1].id


@case()
def an_open_call_of_a_tool_is_lost_as_one_of_a_model_is(world: World) -> None:
    writer = world.subject.open()
    world.put(writer, TOOL_OPENED, Note(receipt="rct_a"))
    world.settle()
    world.subject.kill()
    world.subject.open()
    assert world.kinds().count(TOOL_LOST) == 1
    assert world.kinds().count(LOST) == 0


@case(Setting(segment_bytes_max=400))
def an_open_call_is_lost_however_many_segments_ago(world: World) -> None:
    writer = world.subject.open()
    world.put(writer, OPENED, Note(receipt="rcp_a"))
    for _ in range(10):
        world.put(writer)
        world.settle()
    world.subject.kill()
    assert len(world.subject.reader.segments(ChainKey(world.subject.key, "calls"))) > 3
    world.subject.open()
    world.subject.close()
    assert world.kinds().count(LOST) == 1
    assert isinstance(verify(world.subject.reader, world.subject.check)[0], Intact)


@case(Setting(segment_bytes_max=1000))
def a_full_segment_ends_with_a_checkpoint(world: World) -> None:
    writer = world.subject.open()
    for _ in range(12):
        world.put(writer)
        world.settle()
    key = ChainKey(world.subject.key, "calls")
    for segment in world.subject.reader.segments(key)[:-1]:
        lines = [line for line in world.subject.reader.lines(key) if line.segment == segment]
        assert [checkpoint_of(parse(line.text)) is not None for line in lines] == [False] * (len(lines) - 1) + [True]


@case()
def what_no_record_may_hold_is_told_and_counted(world: World) -> None:
    writer = world.subject.open()
    _, before = world.put(writer)
    _, loose = world.put(writer, data=Loose())
    _, after = world.put(writer)
    world.settle()
    failure = world.told[loose]
    assert isinstance(failure, WardwrightError)
    assert failure.code == "record_invalid"
    assert (world.told[before], world.told[after]) == (None, None)
    assert world.kinds() == ["test.note", "test.note"]
    assert world.kinds("control") == ["journal.gap"]


@case()
def a_failed_write_is_loud_and_loses_nothing(world: World) -> None:
    writer = world.subject.open()
    _, good = world.put(writer)
    world.settle()
    world.subject.break_disk()
    _, bad = world.put(writer)
    world.settle()
    assert writer.failure is not None
    failure = world.told[bad]
    assert isinstance(failure, WardwrightError)
    assert failure.code == "journal_write"
    world.put(writer)
    world.settle()
    world.subject.mend_disk()
    world.put(writer)
    world.subject.loop.turn_until(lambda: writer.failure is None)
    world.subject.close()
    assert world.told[good] is None
    notes = [record for record in world.records() if record.kind == "test.note"]
    assert [bytes(record.data) for record in notes] == [b'{"note":"%d","receipt":""}' % number for number in range(4)]
    assert isinstance(verify(world.subject.reader, world.subject.check)[0], Intact)


@case(Setting(pending_max=4))
def what_finds_the_queue_full_is_told_and_counted(world: World) -> None:
    writer = world.subject.open()
    world.subject.break_disk()
    world.put(writer)
    world.settle()
    for _ in range(20):
        world.put(writer)
    world.settle()
    assert all(failure is not None for failure in world.told.values())
    world.subject.mend_disk()
    world.subject.loop.turn_until(lambda: writer.failure is None)
    world.subject.close()
    written = world.kinds().count("test.note")
    (gap,) = (record for record in world.records("control") if record.kind == "journal.gap")
    assert b'"count":%d,' % (21 - written) in bytes(gap.data)
    assert 0 < written < 21


@case()
def what_comes_after_closing_is_told(world: World) -> None:
    writer = world.subject.open()
    world.subject.close()
    _, number = world.put(writer)
    world.settle()
    assert isinstance(world.told[number], WardwrightError)


@case(Setting(segment_bytes_max=1000))
def reading_goes_on_from_a_cursor(world: World) -> None:
    writer = world.subject.open()
    for _ in range(12):
        world.put(writer)
        world.settle()
    world.subject.close()
    key = ChainKey(world.subject.key, "calls")
    lines = list(world.subject.reader.lines(key))
    for index, line in enumerate(lines):
        assert list(world.subject.reader.lines(key, line.next)) == lines[index + 1 :]
        assert list(world.subject.reader.lines(key, Cursor(line.segment, line.offset))) == lines[index:]


@case()
def the_last_record_is_found_without_reading_the_chain(world: World) -> None:
    writer = world.subject.open()
    assert world.subject.reader.last(ChainKey(world.subject.key, "calls")) is None
    world.put(writer)
    entry, _ = world.put(writer)
    world.settle()
    last = world.subject.reader.last(ChainKey(world.subject.key, "calls"))
    assert last is not None
    assert last.id == entry.id
