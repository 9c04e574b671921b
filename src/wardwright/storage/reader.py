"""Reading segments as they lie on disk, beside whoever writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wardwright.journal.entry import Record
from wardwright.journal.record import read
from wardwright.journal.scribe import RECORD_BYTES_MAX
from wardwright.journal.store import START, ChainKey, Cursor, Line, segment_name
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.storage import layout

_BLOCK_BYTES: Final = 256 * 1024
_LINE_BYTES_MAX: Final = RECORD_BYTES_MAX + 64 * 1024


class SegmentReader:
    """Every chain of a state directory. Holds no file open between calls."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def chains(self) -> tuple[ChainKey, ...]:
        return layout.chains(self.state)

    def segments(self, key: ChainKey) -> tuple[int, ...]:
        return layout.segments(self.state, key)

    def lines(self, key: ChainKey, after: Cursor = START) -> Iterator[Line]:
        for segment in self.segments(key):
            if segment >= after.segment:
                yield from self._segment(key, segment, after.offset if segment == after.segment else 0)

    def last(self, key: ChainKey) -> Record | None:
        for segment in reversed(self.segments(key)):
            line = last_line(layout.segment_path(self.state, key, segment))
            if line is not None:
                return read(line)
        return None

    def line_at(self, key: ChainKey, at: Cursor, size: int) -> bytes | None:
        """The line of `size` bytes that begins at a cursor; None where the segment is gone or ends before."""
        try:
            fd = os.open(layout.segment_path(self.state, key, at.segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            text = os.pread(fd, size + 1, at.offset)
        finally:
            os.close(fd)
        return text[:-1] if len(text) == size + 1 and text.endswith(b"\n") else None

    def _segment(self, key: ChainKey, segment: int, offset: int) -> Iterator[Line]:
        try:
            fd = os.open(layout.segment_path(self.state, key, segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # retired since it was listed
        with open(fd, "rb", buffering=0) as file:
            file.seek(offset)
            rest = b""
            start = offset
            while block := file.read(_BLOCK_BYTES):
                pieces = (rest + block).split(b"\n")
                rest = pieces.pop()
                for text in pieces:
                    yield Line(text, segment, start)
                    start += len(text) + 1
                if len(rest) > _LINE_BYTES_MAX:
                    place = Place(file=segment_name(key, segment))
                    raise WardwrightError("journal_broken", "a line is longer than any record", place=place)
            if rest or start == 0:
                yield Line(rest, segment, start, whole=False)


def last_line(path: Path) -> bytes | None:
    """The last whole line of a file, its newline removed, read from the end; None where there is none."""
    with open(path, "rb", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        tail = b""
        while end > 0 and len(tail) <= _LINE_BYTES_MAX:
            start = max(0, end - _BLOCK_BYTES)
            file.seek(start)
            tail = file.read(end - start) + tail
            end = start
            last = tail.rfind(b"\n")
            if last >= 0 and (end == 0 or tail.rfind(b"\n", 0, last) >= 0):
                return tail[tail.rfind(b"\n", 0, last) + 1 : last]
    return None
