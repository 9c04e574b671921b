"""A disk that is really full or really read-only: loud, without a half record, and over when it is over."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from wardwright.journal.entry import Entry
from wardwright.journal.store import ChainKey
from wardwright.journal.verify import Intact, verify
from wardwright.kernel.errors import WardwrightError
from wardwright.storage import layout
from wardwright.storage.keys import SignatureCheck
from wardwright.storage.reader import SegmentReader
from wardwright.storage.segments import SegmentWriter
from wardwright.storage.settings import JournalSettings
from wardwright.testing.determinism import EPOCH_US, HandClock
from wardwright.testing.hand_loop import HandLoop
from wardwright.testing.journal import signer_of

SIGNER = signer_of()
CALLS = ChainKey("node_test/gateway-0", "calls")
DISK_BYTES = 256 * 1024


class Note(msgspec.Struct, frozen=True):
    number: int
    text: str


class World:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.loop = HandLoop()
        self.heard: list[Exception | None] = []
        self.told: dict[int, Exception | None] = {}
        self.writer = SegmentWriter(
            state,
            node="node_test",
            slot="gateway-0",
            signer=SIGNER,
            clock=HandClock(),
            loop=self.loop,
            settings=JournalSettings(durability="before_response", retry_ms=5, retry_max_ms=20),
            on_failure=self.heard.append,
        )

    def put(self, number: int) -> Exception | None:
        """What was told about one record of 4 KB."""

        def told(failure: Exception | None) -> None:
            self.told[number] = failure

        self.writer.put(Entry("test", Note(number, "x" * 4096), at=EPOCH_US, on_durable=told))
        self.loop.turn_until(lambda: number in self.told)
        return self.told[number]

    def fill(self) -> int:
        """Put records until one fails; how many were put."""
        number = 0
        while self.put(number) is None:
            number += 1
            assert number * 4096 < 4 * DISK_BYTES, "the disk never filled up"
        return number + 1

    def recover(self) -> None:
        self.loop.turn_until(lambda: self.writer.failure is None)

    def numbers(self) -> list[int]:
        lines = list(SegmentReader(self.state).lines(CALLS))
        assert all(line.whole for line in lines)
        notes = [msgspec.json.decode(line.text, type=_Line) for line in lines]
        return [note.data.number for note in notes if note.kind == "test" and note.data.number >= 0]


class _Data(msgspec.Struct):
    number: int = -1


class _Line(msgspec.Struct):
    kind: str
    data: _Data


class Disk:
    """A place for a state directory, and what can happen to it."""

    def __init__(self, path: Path, *, mounted: bool) -> None:
        self.path = path
        self._mounted = mounted

    def make_room(self) -> None:
        if self._mounted:
            self._remount(f"size={8 * DISK_BYTES}")
        else:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    def forbid_writing(self) -> None:
        if self._mounted:
            self._remount("ro")
        else:  # root may write where permissions forbid it, but never to a directory
            self._lock.unlink()
            self._lock.mkdir()

    def allow_writing(self) -> None:
        if self._mounted:
            self._remount("rw")
        else:
            self._lock.rmdir()

    @property
    def _lock(self) -> Path:
        return layout.writer_dir(self.path, CALLS.writer) / "lock"

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.path)], check=True)


@contextlib.contextmanager
def small_disk(where: Path) -> Iterator[Disk]:
    """A disk that holds DISK_BYTES: a file system of its own where this process may mount one, else a bound on the size
    of this process's files."""
    where.mkdir()
    size = f"size={DISK_BYTES}"
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(where)], capture_output=True, check=False)
    if mount.returncode == 0:
        try:
            yield Disk(where, mounted=True)
        finally:
            subprocess.run(["umount", "-l", str(where)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, hard))
    try:
        yield Disk(where, mounted=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_loud_and_nothing_is_lost_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:
        world = World(disk.path)
        world.writer.open()
        count = world.fill()
        failure = world.writer.failure
        assert isinstance(failure, WardwrightError)
        assert failure.code == "journal_write"
        assert isinstance(failure.__cause__, OSError)
        assert world.numbers() == list(range(count - 1)), "a record that failed is there in part"
        assert world.put(count) is not None
        disk.make_room()
        world.recover()
        assert world.put(count + 1) is None
        world.writer.close()
        assert [type(heard) for heard in world.heard] == [WardwrightError, type(None)]
        assert world.numbers() == list(range(count + 2))
        check = SignatureCheck({SIGNER.key: SIGNER.public})
        assert isinstance(verify(SegmentReader(disk.path), check)[0], Intact)


def test_a_start_on_a_full_disk_is_refused_and_leaves_the_chain_as_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:
        world = World(disk.path)
        world.writer.open()
        world.fill()
        with pytest.raises(WardwrightError, match="could not be written"):
            world.writer.close()
        path = layout.segment_path(disk.path, CALLS, 1)
        with path.open("ab") as segment:
            segment.write(b"{")
            with contextlib.suppress(OSError):
                segment.flush()
        before = path.read_bytes()
        again = World(disk.path)
        with contextlib.suppress(WardwrightError):
            again.writer.open()
            again.writer.abandon()
        assert before.startswith(path.read_bytes())
        disk.make_room()
        last = World(disk.path)
        last.writer.open()
        assert last.put(9999) is None
        last.writer.close()
        check = SignatureCheck({SIGNER.key: SIGNER.public})
        assert all(isinstance(verdict, Intact) for verdict in verify(SegmentReader(disk.path), check))


def test_a_read_only_disk_is_refused_by_name_and_taken_up_when_it_is_not(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:
        world = World(disk.path)
        world.writer.open()
        assert world.put(1) is None
        world.writer.close()
        disk.forbid_writing()
        with pytest.raises(WardwrightError, match="cannot be written") as refused:
            World(disk.path).writer.open()
        assert refused.value.code == "journal_write"
        disk.allow_writing()
        again = World(disk.path)
        again.writer.open()
        assert again.put(2) is None
        again.writer.close()
        assert again.numbers() == [1, 2]
