"""One process a writer: a lock that the system drops when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from wardwright.kernel.errors import Place, WardwrightError
from wardwright.storage.files import make_dir


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock, as the lock's file says."""

    address: str | None = None
    """Where it can be reached, such as `http://127.0.0.1:8787`."""
    pid: int


class Lock:
    """Held from `take` to `drop`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self, holder: Holder) -> None:
        """Raises `journal_locked`, naming the holder, when another has it."""
        make_dir(self.path.parent)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise self._refusal() from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, msgspec.json.encode(holder) + b"\n", 0)
        self._fd = fd

    def drop(self) -> None:
        """Let go. Harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _refusal(self) -> WardwrightError:
        holder = holder_of(self.path)
        if holder is None:
            return WardwrightError(
                "journal_locked", "another process holds this writer", place=Place(file=str(self.path))
            )
        reach = "" if holder.address is None else f" at {holder.address}"
        return WardwrightError(
            "journal_locked",
            f"process {holder.pid}{reach} holds this writer",
            place=Place(file=str(self.path)),
            hint="use the running process, stop it, or choose another state directory",
        )


def held(path: Path) -> bool:
    """Whether somebody holds the lock now."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder_of(path: Path) -> Holder | None:
    """Who the lock's file says holds it; None where it says nothing. Does not prove that they still do."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None
