"""Files beneath the folders of a scope, opened by the kernel's own resolution and by no other.

After openat2(2). A path is cut at the scope's folder in front of it, and the rest is opened relative to that folder's
descriptor with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: `..`, links and a folder that is swapped while we look cannot
lead out, because the kernel decides on what it opens, not we on what we read.

Rule 1: a folder of the scope is resolved once, when the hands are made; later it must be the same folder.
Rule 2: links within the scope are followed, also absolute ones: where the kernel says that a link leaves, its target is
cut and opened anew, without any link left in it.
Rule 3: only regular files and folders are opened. What would wait or act when opened (a FIFO, a device, a socket) is
looked at through O_PATH first, and the file that was looked at is the one that is opened.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from wardwright.harness.core.hands import Scope, out_of_scope
from wardwright.kernel.errors import WardwrightError

_OPENAT2: Final = 437
_RENAME_NOREPLACE: Final = 1
NO_MAGICLINKS: Final = 0x02
NO_SYMLINKS: Final = 0x04
BENEATH: Final = 0x08
AGAIN_MAX: Final = 16
"""Times that a look-up is tried which the kernel could not settle because something was renamed meanwhile."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a scope."""

    spelled: str
    """As the scope has it, without a slash at the end."""
    real: str
    """Where it lay when the hands were made."""
    writable: bool
    name: str | None
    """For what is no folder, or is not there yet: its name in the folder that holds it."""
    device: int
    inode: int
    """Of the folder: it must be the same whenever it is opened."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A path, cut at its root."""

    path: str
    root: Root
    rest: str
    """Relative to the root's folder."""


class Folders:
    """The files within one scope."""

    def __init__(self, scope: Scope) -> None:
        """Resolves the scope's paths. Those whose folder does not exist hold nothing. Raises `scope_denied` for a path
        that is not absolute, and for one that lies in a writable folder by its name and elsewhere by its links."""
        self.roots = tuple(
            root
            for paths, writable in ((scope.write, True), (scope.read, False))
            for path in paths
            if (root := _root(path, writable)) is not None
        )
        for root in self.roots:
            self._refuse_planted(root)

    @contextmanager
    def opened(self, path: str, flags: int, *, write: bool = False) -> Iterator[int]:
        """A descriptor of what lies there, a regular file or a folder, closed at the end.

        Raises `scope_denied`, and `tool_failed` for what the system refuses or what is neither.
        """
        with told(path):
            found = self._located(path, write=write)
            descriptor = self._openat2(found, found.rest, os.O_PATH)
            try:
                mode = os.fstat(descriptor).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise WardwrightError("tool_failed", f"`{path}` is not a regular file")
                if stat.S_ISDIR(mode) != bool(flags & os.O_DIRECTORY):
                    kind = "a folder" if flags & os.O_DIRECTORY else "a regular file"
                    raise WardwrightError("tool_failed", f"`{path}` is not {kind}")
                again = os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            finally:
                os.close(descriptor)
            try:
                yield again
            finally:
                os.close(again)

    @contextmanager
    def holding(self, path: str) -> Iterator[tuple[int, str]]:
        """For writing: a descriptor of the folder that a file lies in, or will, and the file's name there.

        A link at the end of the path is followed while it stays within; the name given is no link then.
        """
        with told(path):
            found = self._located(path, write=True)
            folder, name = os.path.split(found.rest)
            if name in ("", ".", ".."):
                raise WardwrightError("tool_failed", f"`{path}` is not a regular file")
            descriptor = self._openat2(found, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                yield descriptor, name
            finally:
                os.close(descriptor)

    def _located(self, path: str, *, write: bool) -> Found:
        """Where a path lies once the links in it that leave are followed."""
        found = self._cut(path, write=write)
        if self._leaves(found):
            found = self._cut(os.path.realpath(path), write=write, spelled=path)
        return found

    def _cut(self, path: str, *, write: bool, spelled: str | None = None) -> Found:
        """A path, cut at its root: the longest that stands in front of it. Looks at nothing."""
        shown = spelled or path
        if not path.startswith("/") or "\0" in path:
            raise out_of_scope(f"`{shown}`", hint="paths are absolute" if not path.startswith("/") else None)
        plain = os.path.normpath("/" + path.lstrip("/"))  # `..` past the root is out, whatever links there may be
        fitting = [
            (front, root)
            for root in self.roots
            if root.writable or not write
            for front in {root.spelled, root.real}
            if _is_beneath(plain, front)
        ]
        if not fitting:
            raise out_of_scope(f"`{shown}`")
        front, root = max(fitting, key=lambda one: (len(one[0]), one[1].writable))
        if root.name is not None:
            if plain != front:
                raise out_of_scope(f"`{shown}`")
            return Found(path=shown, root=root, rest=root.name)
        cut = "/" + path.lstrip("/")
        rest = cut[len(front) :].lstrip("/") if _is_beneath(cut, front) else plain[len(front) :].lstrip("/")
        return Found(path=shown, root=root, rest=rest or ".")

    def _leaves(self, found: Found) -> bool:
        """Whether the kernel refuses the path as it stands, because a link on it is absolute or leads elsewhere."""
        if found.root.name is not None:
            return False
        try:
            descriptor = self._openat2(found, found.rest, os.O_PATH)
        except WardwrightError as error:
            if error.code == "scope_denied":
                return True
            raise
        except FileNotFoundError:
            return self._ends_in_link(found)
        os.close(descriptor)
        return self._ends_in_link(found)

    def _ends_in_link(self, found: Found) -> bool:
        try:
            descriptor = self._openat2(found, found.rest, os.O_PATH | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            return stat.S_ISLNK(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)

    def _openat2(self, found: Found, rest: str, flags: int) -> int:
        """Raises `scope_denied` where the kernel says that the path leaves, else OSError."""
        root = self._opened_root(found)
        try:
            resolve = BENEATH | NO_MAGICLINKS | (NO_SYMLINKS if found.root.name is not None else 0)
            return openat2(root, rest, flags, resolve=resolve)
        except OSError as error:
            if error.errno == errno.EXDEV or (error.errno == errno.ELOOP and found.root.name is not None):
                raise out_of_scope(f"`{found.path}`", hint="a link or `..` leads out of the scope") from error
            raise
        finally:
            os.close(root)

    def _opened_root(self, found: Found) -> int:
        root = found.root
        folder = root.real if root.name is None else os.path.dirname(root.real)
        top = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            descriptor = openat2(top, folder.lstrip("/") or ".", os.O_PATH | os.O_DIRECTORY, resolve=NO_SYMLINKS)
        except OSError as error:
            raise out_of_scope(f"`{found.path}`", hint="the scope's folder is no longer there") from error
        finally:
            os.close(top)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (root.device, root.inode):
            os.close(descriptor)
            raise out_of_scope(f"`{found.path}`", hint="the scope's folder is another one than when the call began")
        return descriptor

    def _refuse_planted(self, root: Root) -> None:
        """A path of the scope within a folder that programs may write could have been made a link by an earlier one."""
        for other in self.roots:
            within_writable = other.writable and other.name is None and _is_beneath(root.spelled, other.spelled)
            if within_writable and not _is_beneath(root.real, other.real):
                raise out_of_scope(f"`{root.spelled}`", hint="a link leads there from a folder that may be written")


def openat2(folder: int, path: str, flags: int, *, mode: int = 0, resolve: int) -> int:
    """openat2(2), close-on-exec. Raises OSError."""
    how = _How(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(AGAIN_MAX):
        descriptor: int = _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(folder),
            os.fsencode(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def rename_new(folder: int, old: str, new: str) -> None:
    """Rename within one folder, where nothing has the new name. Raises FileExistsError and other OSErrors."""
    if _libc.renameat2(folder, os.fsencode(old), folder, os.fsencode(new), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new)


@contextmanager
def told(path: str) -> Iterator[None]:
    """What the system refuses, as `tool_failed`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WardwrightError("tool_failed", f"`{path}`: {reason}") from error


def _root(path: str, writable: bool) -> Root | None:
    if not path.startswith("/") or "\0" in path:
        raise out_of_scope(f"`{path}`", hint="the paths of a scope are absolute")
    spelled = os.path.normpath("/" + path.lstrip("/"))
    real = os.path.realpath(spelled)
    name = None if os.path.isdir(real) else os.path.basename(real)
    try:
        status = os.stat(real if name is None else os.path.dirname(real))
    except OSError:
        return None
    return Root(spelled=spelled, real=real, writable=writable, name=name, device=status.st_dev, inode=status.st_ino)


def _is_beneath(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")
