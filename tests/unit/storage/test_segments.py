"""The writer's start: tails, locks, quarantine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from wardwright.journal.entry import Chain, Entry
from wardwright.journal.life import OPENED
from wardwright.journal.record import parse
from wardwright.journal.store import ChainKey
from wardwright.journal.verify import Intact, verify
from wardwright.kernel.errors import WardwrightError
from wardwright.storage import layout
from wardwright.storage.keys import SignatureCheck
from wardwright.storage.lock import holder_of
from wardwright.storage.reader import SegmentReader
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings
from wardwright.storage.slots import open_writer
from wardwright.testing.determinism import EPOCH_US, HandClock
from wardwright.testing.failing_disk import FailingDisk
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import signer_of

SIGNER = signer_of()
CHECK = SignatureCheck({SIGNER.key: SIGNER.public})
WRITER = "node_test/gateway-0"
CALLS = ChainKey(WRITER, "calls")
CONTROL = ChainKey(WRITER, "control")


class Note(msgspec.Struct, frozen=True):
    receipt: str


class Make(Protocol):
    def __call__(
        self, slot: str = ..., disk: FailingDisk | None = ..., settings: JournalSettings | None = ...
    ) -> SegmentWriter: ...


@pytest.fixture
def loop() -> HandLoop:
    return HandLoop()


@pytest.fixture
def make(tmp_path: Path, loop: HandLoop) -> Iterator[Make]:
    made: list[SegmentWriter] = []

    def build(
        slot: str = "gateway-0", disk: FailingDisk | None = None, settings: JournalSettings | None = None
    ) -> SegmentWriter:
        writer = SegmentWriter(
            tmp_path,
            node="node_test",
            slot=slot,
            signer=SIGNER,
            clock=HandClock(),
            loop=loop,
            settings=settings or JournalSettings(durability="before_response", retry_ms=1),
            disk=disk,
        )
        made.append(writer)
        return writer

    yield build
    for writer in made:
        writer.abandon()


def put(writer: SegmentWriter, loop: HandLoop, *, chain: Chain = "calls", kind: str = "test") -> None:
    told: list[Exception | None] = []
    writer.put(Entry(kind, Note("rcp_1"), at=EPOCH_US, chain=chain, on_durable=told.append))
    loop.turn_until(lambda: bool(told))
    assert told == [None]


def kinds(state: Path, key: ChainKey) -> list[str]:
    return [parse(line.text).kind for line in SegmentReader(state).lines(key)]


def crashed(make: Make, loop: HandLoop, tmp_path: Path) -> Path:
    """A segment with two records, left by a writer that did not close."""
    writer = make()
    writer.open()
    put(writer, loop)
    put(writer, loop)
    writer.abandon()
    return layout.segment_path(tmp_path, CALLS, 1)


@pytest.mark.parametrize("tail", [b'{"actor":"gate', b"\0" * 4096, b"\0" * 100 + b'"}\n{"actor":1}\n'])
def test_a_torn_tail_is_cut_reported_and_kept_aside(make: Make, loop: HandLoop, tmp_path: Path, tail: bytes) -> None:
    path = crashed(make, loop, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    writer = make()
    (torn,) = writer.open().torn
    assert (torn.bytes, torn.chain, torn.segment) == (len(tail), "calls", 1)
    assert path.read_bytes() == whole
    assert layout.torn_path(tmp_path, CALLS, 1).read_bytes() == tail
    put(writer, loop)
    writer.close()
    assert kinds(tmp_path, CONTROL) == ["journal.torn", "journal.checkpoint"]
    assert all(isinstance(verdict, Intact) for verdict in verify(SegmentReader(tmp_path), CHECK))


def test_a_segment_that_was_created_and_never_written_is_taken_up(make: Make, loop: HandLoop, tmp_path: Path) -> None:
    writer = make()
    writer.open()
    put(writer, loop)
    writer.close()
    layout.segment_path(tmp_path, CALLS, 2).touch()
    writer = make()
    assert writer.open().torn == ()
    put(writer, loop)
    writer.close()
    assert isinstance(verify(SegmentReader(tmp_path), CHECK)[0], Intact)


def test_a_changed_chain_is_refused_and_left_as_it_is(make: Make, loop: HandLoop, tmp_path: Path) -> None:
    path = crashed(make, loop, tmp_path)
    changed = path.read_bytes().replace(b"rcp_1", b"rcp_2", 1)
    path.write_bytes(changed)
    with pytest.raises(WardwrightError, match="not the hash") as refused:
        make().open()
    assert refused.value.code == "journal_broken"
    assert refused.value.place is not None
    assert (refused.value.place.file, refused.value.place.line) == (f"{WRITER}/calls/00000001.jsonl", 1)
    assert path.read_bytes() == changed


def test_a_removed_record_is_refused(make: Make, loop: HandLoop, tmp_path: Path) -> None:
    path = crashed(make, loop, tmp_path)
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(WardwrightError, match="prev is not"):
        make().open()


def test_a_missing_segment_is_refused(make: Make, loop: HandLoop, tmp_path: Path) -> None:
    for _ in range(3):
        writer = make()
        writer.open()
        put(writer, loop)
        writer.close()
    layout.segment_path(tmp_path, CALLS, 2).unlink()
    with pytest.raises(WardwrightError) as refused:
        make().open()
    assert refused.value.code == "journal_broken"


def test_a_broken_slot_is_quarantined_once_and_its_successor_says_so(
    make: Make, loop: HandLoop, tmp_path: Path
) -> None:
    path = crashed(make, loop, tmp_path)
    path.write_bytes(b"x" + path.read_bytes())
    for _ in range(2):
        writer, _ = open_writer(
            make, tmp_path, node="node_test", slot="gateway-0", now_us=EPOCH_US, on_broken="new_slot"
        )
        assert writer.writer == "node_test/gateway-0r1"
        writer.close()
    successor = ChainKey("node_test/gateway-0r1", "control")
    assert kinds(tmp_path, successor) == ["journal.quarantined", "journal.checkpoint"]
    with pytest.raises(WardwrightError, match=r"not the hash|not a record"):
        make().open()


def test_a_held_lock_names_its_holder(make: Make, tmp_path: Path) -> None:
    make().open(address="http://127.0.0.1:8787")
    with pytest.raises(WardwrightError) as refused:
        make().open()
    assert refused.value.code == "journal_locked"
    assert refused.value.message == f"process {os.getpid()} at http://127.0.0.1:8787 holds this writer"
    holder = holder_of(layout.writer_dir(tmp_path, WRITER) / "lock")
    assert holder is not None
    assert holder.pid == os.getpid()


def test_a_refused_start_lets_the_lock_go(make: Make, loop: HandLoop, tmp_path: Path) -> None:
    path = crashed(make, loop, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole)
    writer = make()
    with pytest.raises(WardwrightError):
        writer.open()
    path.write_bytes(whole)
    make().open()


def test_old_segments_end_at_their_age(tmp_path: Path, loop: HandLoop) -> None:
    clock = HandClock()
    writer = SegmentWriter(
        tmp_path,
        node="node_test",
        slot="gateway-0",
        signer=SIGNER,
        clock=clock,
        loop=loop,
        settings=JournalSettings(durability="before_response", segment_age_s=60),
    )
    writer.open()
    put(writer, loop)
    clock.advance(61_000_000)
    put(writer, loop)
    put(writer, loop)
    writer.close()
    assert layout.segments(tmp_path, CALLS) == (1, 2)


def test_closing_on_a_dead_disk_says_how_much_is_missing(make: Make, loop: HandLoop) -> None:
    disk = FailingDisk()
    writer = make(disk=disk)
    writer.open()
    disk.trouble = "full"
    for _ in range(3):
        writer.put(Entry("test", Note("rcp_1"), at=EPOCH_US))
    with pytest.raises(WardwrightError, match="3 journal entries could not be written"):
        writer.close()


def test_a_segment_that_cannot_be_opened_is_tried_again(make: Make, loop: HandLoop, tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.trouble = "open"
    writer = make(disk=disk)
    writer.open()
    told: list[Exception | None] = []
    writer.put(Entry("test", Note("rcp_1"), at=EPOCH_US, on_durable=told.append))
    loop.turn_until(lambda: bool(told))
    assert isinstance(told[0], WardwrightError)
    assert told[0].code == "journal_write"
    disk.trouble = None
    writer.close()
    assert kinds(tmp_path, CALLS) == ["test", "journal.checkpoint"]


def test_a_defect_in_the_thread_is_told_to_everyone(make: Make, loop: HandLoop) -> None:
    class Defect(FailingDisk):
        def write(self, fd: int, content: memoryview) -> int:
            raise AssertionError("a defect")

    heard: list[Exception | None] = []
    writer = make(disk=Defect())
    writer.open()
    told: list[Exception | None] = []
    writer.put(Entry("test", Note("rcp_1"), at=EPOCH_US, on_durable=told.append))
    loop.turn_until(lambda: bool(told))
    assert isinstance(told[0], WardwrightError)
    assert isinstance(writer.failure, WardwrightError)
    assert "a defect" in writer.failure.message
    writer.put(Entry("test", Note("rcp_2"), at=EPOCH_US, on_durable=heard.append))
    loop.turn()
    assert isinstance(heard[0], WardwrightError)
    with pytest.raises(WardwrightError, match="could not be written"):
        writer.close()


def test_an_opened_call_without_a_receipt_is_refused(make: Make, loop: HandLoop) -> None:
    class Nameless(msgspec.Struct, frozen=True):
        name: str

    writer = make()
    writer.open()
    told: list[Exception | None] = []
    writer.put(Entry(OPENED, Nameless("x"), at=EPOCH_US, on_durable=told.append))
    loop.turn_until(lambda: bool(told))
    assert isinstance(told[0], WardwrightError)
    assert told[0].message == "call.opened: data without a receipt"
