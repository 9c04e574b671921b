"""A disk that fails when told to: full, read-only, or broken in the middle of a write."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Literal, TypeAlias

from wardwright.storage.disk import LocalDisk

Trouble: TypeAlias = Literal["full", "half", "sync", "cut", "open"]
"""full: nothing is written · half: part of each write, then it fails · sync: written, but not durable · cut: as half,
and the file cannot be cut back · open: no file can be opened"""


class FailingDisk(LocalDisk):
    """The file system, with trouble that can be switched on and off from any thread."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self.failures = 0
        """How often it failed."""
        self.failed = threading.Event()
        """Set at each failure; whoever waits clears it."""

    def open(self, path: Path) -> int:
        if self.trouble == "open":
            self._fail(errno.EROFS)
        return super().open(path)

    def write(self, fd: int, content: memoryview) -> int:
        if self.trouble in ("half", "cut") and len(content) > 1:
            super().write(fd, content[: len(content) // 2])
        if self.trouble in ("full", "half", "cut"):
            self._fail(errno.ENOSPC)
        return super().write(fd, content)

    def sync(self, fd: int) -> None:
        if self.trouble == "sync":
            self._fail(errno.EIO)
        super().sync(fd)

    def cut(self, fd: int, size: int) -> None:
        if self.trouble == "cut" and os.fstat(fd).st_size != size:
            self._fail(errno.EIO)
        super().cut(fd, size)

    def _fail(self, code: int) -> None:
        self.failures += 1
        self.failed.set()
        raise OSError(code, os.strerror(code))
