"""The way back from a write: the file as it was, kept before it is written and put back when asked.

    taken = snapshot.take(folders, path, keep)
    ...                                          # the call writes
    taken = snapshot.sealed(folders, taken, keep)
    snapshot.restore(folders, taken, keep)       # later, perhaps in another process

Blocking, as files are. Links are followed within the scope as `beneath` does, so a snapshot is of the file that a write
to the same path would have changed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final, assert_never

import msgspec

from wardwright.harness.core.before import Absent, File, Keep, Snapshot, State
from wardwright.harness.sandbox import files
from wardwright.harness.sandbox.beneath import Folders, openat2
from wardwright.kernel.errors import Place, WardwrightError

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one file. A larger one has no snapshot, and a call that needs one does not run."""
KEPT_ALL_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Of all contents of one tenant; those that were kept longest ago go first."""
KEY_BYTES_MIN: Final = 16

_NAME: Final = re.compile(r"hmac-sha256:([0-9a-f]{64})")
_NEVER_A_LINK: Final = 0x04 | 0x08


def take(folders: Folders, path: str, keep: Keep) -> Snapshot:
    """What stands there now, kept. Raises `scope_denied` for a path that may not be written, `tool_failed` for what is
    no regular file or is larger than KEPT_BYTES_MAX."""
    content, mode = _content(folders, path)
    return Snapshot(path=path, before=Absent() if content is None else _kept(content, mode, keep.put(content)))


def sealed(folders: Folders, taken: Snapshot, keep: Keep) -> Snapshot:
    """The same, with what the call left behind."""
    return msgspec.structs.replace(taken, after=_state(folders, taken.path, keep))


def restore(folders: Folders, taken: Snapshot, keep: Keep, *, forced: bool = False) -> None:
    """Put back what stood there before.

    Raises `tool_failed` where the file has changed since the call, unless forced, and where the content is gone.
    """
    if not forced and (taken.after is None or _state(folders, taken.path, keep) != taken.after):
        raise WardwrightError(
            "tool_failed",
            f"`{taken.path}` has changed since the call that is to be undone",
            hint="look at it, then force the restore",
        )
    match taken.before:
        case Absent():
            with folders.holding(taken.path) as (folder, name):
                try:
                    os.unlink(name, dir_fd=folder)
                except FileNotFoundError:
                    return
                os.fsync(folder)
        case File(digest=digest, mode=mode):
            content = keep.get(digest)
            if content is None:
                raise WardwrightError("tool_failed", f"what `{taken.path}` held before is no longer kept")
            with folders.holding(taken.path) as (folder, name):
                files.replace(folder, name, content, mode=mode, only_new=False)
        case _:
            assert_never(taken.before)


class FileKeep:
    """A folder of contents, a file each, named by a keyed digest. Implements `harness.core.before.Keep`.

    The key is the tenant's: without it, nobody who sees a name can test what it stands for.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        """The folder is made where it is not there. Raises ValueError for a key too short to be one."""
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"a key of {len(key)} bytes is shorter than {KEY_BYTES_MIN}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = key

    def digest(self, content: bytes) -> str:
        return f"hmac-sha256:{hmac.new(self._key, content, hashlib.sha256).hexdigest()}"

    def put(self, content: bytes) -> str:
        digest = self.digest(content)
        path = self._path(digest)
        if self.get(digest) is None:
            temporary = self._folder / f"{files.TEMPORARY}{secrets.token_hex(8)}"
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                try:
                    files.write_whole(descriptor, content)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(temporary, path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise WardwrightError(
                    "tool_failed",
                    f"what is to be changed cannot be kept: {error.strerror}",
                    place=Place(file=str(self._folder)),
                ) from error
        return digest

    def get(self, digest: str) -> bytes | None:
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        return content if hmac.compare_digest(self.digest(content), digest) else None

    def drop(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def trim(self, bytes_max: int) -> int:
        """Drop the contents that were kept longest ago until no more than this is left; how many went. What a call
        changed and is dropped here cannot be put back any more."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        held = sum(size for _, size, _ in found)
        dropped = 0
        for _, size, path in sorted(found):
            if held <= bytes_max:
                break
            path.unlink(missing_ok=True)
            held -= size
            dropped += 1
        return dropped

    def _path(self, digest: str) -> Path:
        found = _NAME.fullmatch(digest)
        if found is None:
            raise WardwrightError("invalid_request", f"{digest!r} is not the name of a kept content")
        return self._folder / found[1]


def _state(folders: Folders, path: str, keep: Keep) -> State:
    content, mode = _content(folders, path)
    return Absent() if content is None else _kept(content, mode, keep.digest(content))


def _kept(content: bytes, mode: int, digest: str) -> File:
    return File(digest=digest, size=len(content), mode=mode)


def _content(folders: Folders, path: str) -> tuple[bytes | None, int]:
    """The bytes and the mode of the file that a write to this path would change; None where there is none."""
    with folders.holding(path) as (folder, name):
        try:
            descriptor = openat2(folder, name, os.O_PATH, resolve=_NEVER_A_LINK)
        except FileNotFoundError:
            return None, 0
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise WardwrightError("tool_failed", f"`{path}` is not a regular file")
            if status.st_size > KEPT_BYTES_MAX:
                raise WardwrightError(
                    "tool_failed", f"`{path}` has {status.st_size} bytes, more than the {KEPT_BYTES_MAX} that are kept"
                )
            with open(f"/proc/self/fd/{descriptor}", "rb") as file:
                content = file.read(KEPT_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
        if len(content) > KEPT_BYTES_MAX:
            raise WardwrightError("tool_failed", f"`{path}` grew past the {KEPT_BYTES_MAX} bytes that are kept")
        return content, status.st_mode & 0o777
