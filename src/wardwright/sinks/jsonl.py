"""A sink that appends letters to a file, one a line.

Rule 1: a line is on disk before its letter counts as delivered.
Rule 2: the file is opened for each letter, so that whoever rotates it needs to tell nobody. A line that a crash left
unfinished is ended first: readers meet it as a broken line of its own, and its letter comes again.
Rule 3: the file is bounded: one that has grown to `bytes_max` is set aside as `<path>.1`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from wardwright.contracts.sink import JsonlSink
from wardwright.journal.sinks import Delivered, Later, Letter, Outcome
from wardwright.kernel.errors import Place, WardwrightError


class JsonlFile:
    """Implements `journal.sinks.Sink`. Letters are written one after the other, on a thread."""

    def __init__(self, settings: JsonlSink, folder: Path) -> None:
        """`folder` is where a relative path begins."""
        self.path = folder / Path(settings.path).expanduser()
        self._bytes_max = settings.bytes_max
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self.path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WardwrightError(
                "settings_invalid",
                f"the folder of a sink's file cannot be made: {error.strerror}",
                place=Place(file=str(self.path)),
            ) from error

    async def deliver(self, letter: Letter) -> Outcome:
        async with self._turn:
            try:
                await asyncio.to_thread(self._append, letter.body)
            except OSError as error:
                return Later(why=f"the file cannot be written: {error.strerror}")
        return Delivered(note="written")

    async def aclose(self) -> None:
        return

    def _append(self, body: bytes) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and size + len(body) >= self._bytes_max:
                os.close(fd)
                fd = -1
                self.path.replace(self.path.with_name(self.path.name + ".1"))
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
                size = 0
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            line = (b"\n" if torn else b"") + body + b"\n"
            while line:
                line = line[os.write(fd, line) :]
            os.fsync(fd)
        finally:
            if fd >= 0:
                os.close(fd)
