"""What a segment needs of a disk, and a disk that does it. Tests put a failing one in its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from wardwright.storage.files import make_dir, sync_dir


class Disk(Protocol):
    """Every method raises OSError, and may have done part of its work then."""

    def open(self, path: Path) -> int:
        """A descriptor for appending; the file is created where it is not there, and its name made durable."""
        ...

    def write(self, fd: int, content: memoryview) -> int:
        """Append some of the bytes; how many."""
        ...

    def sync(self, fd: int) -> None:
        """Wait until everything written is durable."""
        ...

    def cut(self, fd: int, size: int) -> None:
        """Drop what lies beyond a size."""
        ...

    def close(self, fd: int) -> None: ...


class LocalDisk:
    """The file system."""

    def open(self, path: Path) -> int:
        make_dir(path.parent)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            sync_dir(path.parent)
        except OSError:
            os.close(fd)
            raise
        return fd

    def write(self, fd: int, content: memoryview) -> int:
        return os.write(fd, content)

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def cut(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        os.close(fd)
