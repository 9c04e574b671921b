"""A disk under a running gateway that fills up and is cleared again.

A file system of its own where this process may mount one; else a bound on the size of the gateway's files, which its
writes meet in the same place.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DISK_BYTES: Final = 8 * 1024 * 1024
FILLER: Final = "filler"


class TightDisk:
    """Where a gateway keeps its state."""

    def __init__(self, path: Path, *, mounted: bool) -> None:
        self.state = path / "state"
        self._path = path
        self._filler = path / FILLER
        self._mounted = mounted

    def fill(self, pid: int) -> None:
        """No byte more for the gateway with this process id."""
        if not self._mounted:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            # Not less: what the gateway says goes to a file too.
            grown = max(path.stat().st_size for path in self.state.rglob("*.jsonl"))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (grown, hard))
            return
        with self._filler.open("wb", buffering=0) as filler:
            for size in (65_536, 1):
                try:
                    while filler.write(b"x" * size):
                        continue
                except OSError:
                    continue

    def clear(self, pid: int) -> None:
        """Room again."""
        if self._mounted:
            self._filler.unlink()
        else:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    def forbid_writing(self) -> None:
        """Read-only from now on. No gateway may run on it."""
        if self._mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(self._path)], check=True)
        else:  # permissions do not bind root, but a directory is no file for anyone
            for lock in self.state.glob("journal/*/*/lock"):
                lock.unlink()
                lock.mkdir()


@contextmanager
def tight_disk(where: Path) -> Iterator[TightDisk]:
    """A disk that is gone with the block."""
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(where)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield TightDisk(where, mounted=False)
        return
    try:
        yield TightDisk(where, mounted=True)
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)
