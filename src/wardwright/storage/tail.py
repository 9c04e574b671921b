"""The end of one chain: what is placed and not yet durable, and the segment it goes to."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from wardwright.journal.checkpoint import Signer
from wardwright.journal.entry import Durable, Entry
from wardwright.journal.life import KINDS, OpenCalls
from wardwright.journal.record import read
from wardwright.journal.recovery import NOTHING, Recovered, recover
from wardwright.journal.scribe import Head, Scribe
from wardwright.journal.statements import Torn, ending
from wardwright.journal.store import ChainKey
from wardwright.kernel.errors import WardwrightError
from wardwright.storage import layout
from wardwright.storage.disk import Disk
from wardwright.storage.reader import last_line
from wardwright.storage.segment import Segment


class ChainTail:
    """Lines wait here until `write` makes all of them durable. Belongs to one thread."""

    def __init__(self, state: Path, key: ChainKey, disk: Disk, segment: int, found: Recovered) -> None:
        self.key = key
        self.head: Head = found.head
        """Where the chain stood when it was opened."""
        self.open = OpenCalls(found.open)
        self.closed = found.closed
        """Whether the chain ends, or has nothing that could end, in good order."""
        self.unwritten: list[bytes] = []
        self.began_us = 0
        """When the segment was begun or taken up, µs since the epoch."""
        self._waiting: list[Durable] = []
        self._unwritten_bytes = 0
        self._sealed = found.sealed
        self._checkpoint = (found.checkpoint_seq, found.checkpoint)
        self._state = state
        self._disk = disk
        self._number = segment
        self._segment = Segment(disk, layout.segment_path(state, key, segment), found.kept)
        if found.sealed:
            self._turn()

    @property
    def bytes(self) -> int:
        """The segment's size once all is written."""
        return self._segment.size + self._unwritten_bytes

    def add(self, entry: Entry, scribe: Scribe) -> None:
        """Place an entry. Raises `record_invalid` and leaves everything as it was."""
        kind = entry.kind
        if kind in KINDS:
            receipt = getattr(entry.data, "receipt", None)
            if not isinstance(receipt, str):
                raise WardwrightError("record_invalid", f"{kind}: data without a receipt")
            line = scribe.place(entry)
            self.open.saw(kind, receipt, entry.id or "")
        else:
            line = scribe.place(entry)
        self.unwritten.append(line)
        self._unwritten_bytes += len(line)
        self.closed = False
        callback = entry.on_durable
        if callback is not None:
            entry.on_durable = None
            self._waiting.append(callback)

    def seal(self, reason: Literal["closed", "rotated"], scribe: Scribe, signer: Signer, now_us: int) -> None:
        """Place the checkpoint that ends the segment; the next line begins another one."""
        entry = ending(
            self.key, scribe.head(self.key.chain), self._checkpoint, self.open.calls(), reason, signer, now_us
        )
        self.add(entry, scribe)
        self._checkpoint = (scribe.head(self.key.chain).seq, entry.id)
        self._sealed = True
        self.began_us = now_us
        self.closed = reason == "closed"

    def write(self) -> list[Durable]:
        """Make every line durable; who waited for them. Raises OSError, and all of them stay."""
        if not self.unwritten:
            return []
        self._segment.append(b"".join(self.unwritten))
        self.unwritten.clear()
        self._unwritten_bytes = 0
        if self._sealed:
            self._turn()
        return self.untold()

    def untold(self) -> list[Durable]:
        """Who waits for lines, taken off: each is told once."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        self._segment.close()

    def _turn(self) -> None:
        self._segment.close()
        self._number += 1
        self._segment = Segment(self._disk, layout.segment_path(self._state, self.key, self._number), 0)
        self._sealed = False


def open_tail(state: Path, key: ChainKey, disk: Disk) -> tuple[ChainTail, Torn | None]:
    """The tail of a chain, its torn bytes cut off and kept aside. Raises `journal_broken` or OSError.

    Reads the last segment and the last line of the one before it, whatever the chain's length.
    """
    numbers = layout.segments(state, key)
    if not numbers:
        return ChainTail(state, key, disk, 1, NOTHING), None
    last = numbers[-1]
    before = None
    if len(numbers) > 1:
        line = last_line(layout.segment_path(state, key, numbers[-2]))
        before = None if line is None else read(line)
    with _mapped(layout.segment_path(state, key, last)) as content:
        found = recover(key, last, content, before)
        rest = content[found.kept :]
    cut = _cut(state, key, last, rest, found.kept, disk) if rest else None
    return ChainTail(state, key, disk, last, found), cut


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a file, without a copy of them."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _cut(state: Path, key: ChainKey, number: int, rest: bytes, kept: int, disk: Disk) -> Torn:
    """Keep torn bytes aside, durably, before they are cut off."""
    fd = os.open(layout.torn_path(state, key, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(fd, "ab") as aside:
        aside.write(rest)
        aside.flush()
        os.fsync(fd)
    fd = disk.open(layout.segment_path(state, key, number))
    try:
        disk.cut(fd, kept)
        disk.sync(fd)
    finally:
        disk.close(fd)
    return Torn(bytes=len(rest), chain=key.chain, digest="sha256:" + hashlib.sha256(rest).hexdigest(), segment=number)
