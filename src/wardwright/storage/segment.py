"""The one segment of a chain that is being written.

Rule 1: `size` is the durable end. Every byte beyond it belongs to an append that did not succeed.
Rule 2: after a failure the tail is cut back to `size` before anything else is written, so no half record is ever
followed by another. That holds for a failed sync too: what the kernel dropped from its cache must be written again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from wardwright.storage.disk import Disk


class Segment:
    def __init__(self, disk: Disk, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        """Durable bytes."""
        self._disk = disk
        self._fd: int | None = None
        self._dirty = True
        """Whether the file may hold bytes beyond `size`."""

    def append(self, content: bytes) -> None:
        """Write the bytes and wait until they are durable. Raises OSError, and leaves the durable end where it was."""
        disk = self._disk
        if self._fd is None:
            self._fd = disk.open(self.path)
        if self._dirty:
            disk.cut(self._fd, self.size)
        self._dirty = True
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[disk.write(self._fd, rest) :]
            disk.sync(self._fd)
        except OSError:
            self._give_up()
            raise
        self._dirty = False
        self.size += len(content)

    def close(self) -> None:
        """Let the descriptor go. Appending again opens it anew."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._disk.close(fd)

    def _give_up(self) -> None:
        # Cutting now spares readers a torn line; should it fail too, the next append cuts first.
        with contextlib.suppress(OSError):
            if self._fd is not None:
                self._disk.cut(self._fd, self.size)
        with contextlib.suppress(OSError):
            self.close()
