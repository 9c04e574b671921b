"""Reading, listing and writing files within a scope. Blocking: `hands` calls it in a thread.

Rule 1: a file is replaced by another one that was written and synced beside it, so a reader sees the old or the new.
Rule 2: a file that has a second name is not appended to: that name may lie outside of the scope.
"""

from __future__ import annotations

import heapq
import os
import secrets
import stat
from typing import Final, Literal

from wardwright.harness.core.hands import Content, Item, Listing, WriteHow
from wardwright.harness.sandbox.beneath import Folders, openat2, rename_new
from wardwright.kernel.errors import WardwrightError

TEMPORARY: Final = ".wardwright-"
"""How the files begin that are not yet in their place. A crash may leave one."""
MODE: Final = 0o666
"""Of a new file, less the umask."""
_NEVER_A_LINK: Final = 0x04 | 0x08
"""RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH."""


def read(folders: Folders, path: str, *, offset: int, bytes_max: int) -> Content:
    with folders.opened(path, os.O_RDONLY) as descriptor:
        size = os.fstat(descriptor).st_size
        parts: list[bytes] = []
        held = 0
        while held < bytes_max and (part := os.pread(descriptor, bytes_max - held, offset + held)):
            parts.append(part)
            held += len(part)
        end = offset + held
        # the files of /proc have a size of 0 and go on nevertheless
        more = end < size or (held == bytes_max and os.pread(descriptor, 1, end) != b"")
        return Content(data=b"".join(parts), size=max(size, end) if held else size, truncated=more)


def listed(folders: Folders, path: str, *, items_max: int) -> Listing:
    """The first names in order. No more of them are held than are asked for."""
    with folders.opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        with os.scandir(descriptor) as entries:
            names = heapq.nsmallest(items_max + 1, (entry.name for entry in entries))
        items = tuple(item for name in names[:items_max] if (item := _item(descriptor, name)) is not None)
        return Listing(items=items, truncated=len(names) > items_max)


def write(folders: Folders, path: str, data: bytes, how: WriteHow) -> int:
    with folders.holding(path) as (folder, name):
        before = _status(folder, name)
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise WardwrightError("tool_failed", f"`{path}` is not a regular file")
        match how:
            case "create":
                if before is not None:
                    raise WardwrightError("tool_failed", f"`{path}` exists already")
                replace(folder, name, data, mode=None, only_new=True)
            case "replace":
                mode = None if before is None else before.st_mode & 0o777
                replace(folder, name, data, mode=mode, only_new=False)
            case "append":
                _append(folder, name, data, path)
    return len(data)


def replace(folder: int, name: str, data: bytes, *, mode: int | None, only_new: bool) -> None:
    """Put a whole file into its place. Raises OSError, FileExistsError where `only_new` and there is one."""
    temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE, dir_fd=folder
    )
    try:
        try:
            write_whole(descriptor, data)
            if mode is not None:
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if only_new:
            rename_new(folder, temporary, name)
        else:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def write_whole(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _append(folder: int, name: str, data: bytes, path: str) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = openat2(folder, name, flags, mode=MODE, resolve=_NEVER_A_LINK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise WardwrightError("tool_failed", f"`{path}` is not a regular file")
        if status.st_nlink != 1:
            raise WardwrightError(
                "tool_failed",
                f"`{path}` has another name, which may lie anywhere",
                hint="replace the file instead of appending to it",
            )
        write_whole(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _item(folder: int, name: str) -> Item | None:
    status = _status(folder, name)
    if status is None:  # gone since it was listed
        return None
    return Item(name=name, kind=_kind(status.st_mode), size=status.st_size)


def _kind(mode: int) -> Literal["file", "folder", "link", "other"]:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
