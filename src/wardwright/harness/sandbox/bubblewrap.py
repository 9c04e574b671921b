"""The outer wall: a scope as the command line of bubblewrap. Pure: the machine's layout is an argument.

Rule 1: nothing is within but what stands here: the system's programs and libraries read-only, a few files of /etc, a
private /tmp and /dev/shm, six devices, a /proc of its own namespace, and the folders of the scope.
Rule 2: no network but a loopback of its own. Hosts are reached through a door that is handed out (`egress`).
Rule 3: every namespace is new, every capability dropped, the session its own; it dies with us and all of it at once.
Rule 4: nobody is root within, and nothing gains a privilege.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wardwright.harness.core.hands import Scope, out_of_scope
from wardwright.harness.sandbox.landlock import Rules
from wardwright.kernel.errors import WardwrightError

TMP_BYTES_MAX: Final = 512 * 1024 * 1024
"""Of /tmp, and of /dev/shm. They lie in memory."""
LAUNCHER: Final = "/dev/wardwright/launcher"
"""Where the launcher lies within, with the ending that its file has: where no folder of a scope can hide it."""
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
ETC: Final = (
    "/etc/alternatives",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
"""What programs need to find libraries, names and certificates. No `resolv.conf`: there is nobody to ask."""
SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

_OURS: Final = ("/proc", "/dev", "/sys")
"""Never bound from outside: they show the machine, not files."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What the walls must know of a machine."""

    bubblewrap: str
    """Its absolute path."""
    python: str
    """The interpreter that runs the launcher."""
    launcher: str
    """The launcher's file: compiled already where that could be kept, which starts quicker."""
    runtime: tuple[str, ...] = ()
    """Folders that the interpreter needs beside the system's."""
    folders: tuple[str, ...] = ()
    """Those of SYSTEM that are folders."""
    links: tuple[tuple[str, str], ...] = ()
    """Those that are links, and where they lead."""
    etc: tuple[str, ...] = ()
    """Those of ETC that exist."""
    uid: int
    gid: int
    """Who programs are within. Outside it is us, in any case."""


class Within(msgspec.Struct, frozen=True, kw_only=True):
    """The folders and files of a scope, resolved: pairs of how the scope spells them and where they really lie."""

    read: tuple[tuple[str, str], ...] = ()
    write: tuple[tuple[str, str], ...] = ()


def argv(layout: Layout, within: Within, program: str, *, info: int, instruction: int) -> tuple[str, ...]:
    """The command that starts the launcher behind bubblewrap's wall.

    `program` is an absolute path without links. `info` and `instruction` are descriptors that are inherited. Raises
    `scope_denied` for a scope that no sandbox can hold, such as the whole machine.
    """
    words = [
        layout.bubblewrap,
        "--unshare-all",
        "--unshare-user",  # of itself the former goes on without, where that is forbidden
        "--die-with-parent",
        "--new-session",
        *("--uid", str(layout.uid), "--gid", str(layout.gid)),
        *("--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SYS_RESOURCE"),
        *("--cap-add", "CAP_SETPCAP"),  # all three until the launcher has used them
        *("--info-fd", str(info)),
        *("--size", str(TMP_BYTES_MAX), "--tmpfs", "/tmp"),
    ]
    for folder in (*layout.folders, *layout.runtime):
        words += ["--ro-bind", folder, folder]
    for link, target in layout.links:
        words += ["--symlink", target, link]
    for path in layout.etc:
        words += ["--ro-bind", path, path]
    if not _beneath(program, (*layout.folders, *layout.runtime)):
        words += ["--ro-bind", program, program]
    words += _binds(within, (*layout.folders, *(link for link, _ in layout.links)))
    words += ["--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev"]
    launcher = LAUNCHER + layout.launcher[layout.launcher.rfind(".") :]
    words += ["--ro-bind", layout.launcher, launcher]
    for device in DEVICES:
        words += ["--dev-bind", device, device]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        words += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    words += ["--symlink", "/proc/self/fd", "/dev/fd"]
    words += ["--size", str(TMP_BYTES_MAX), "--perms", "1777", "--tmpfs", "/dev/shm"]
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    words += ["--", layout.python, "-I", "-S", launcher, str(instruction)]
    return tuple(words)


def rules(layout: Layout, within: Within, program: str) -> Rules:
    """The inner wall over the same scope: were the outer one left open, this one would still hold."""
    return Rules(
        read=(*layout.etc, "/proc", "/dev"),
        run=(*layout.folders, *layout.runtime, program, *(real for _, real in within.read)),
        write=("/tmp", "/dev/shm", *(real for _, real in within.write)),
        devices=DEVICES,
        bind=None,  # only its own loopback is there
    )


def alone(layout: Layout, within: Within, program: str, private: str) -> Rules:
    """The inner wall where there is no outer one. `private` stands for /tmp. /proc is the machine's: closed."""
    return Rules(
        read=layout.etc,
        run=(*layout.folders, *layout.runtime, layout.launcher, program, *(real for _, real in within.read)),
        write=(private, *(real for _, real in within.write)),
        devices=DEVICES,
    )


def refuse_unholdable(scope: Scope) -> None:
    """Raises `scope_denied` where a sandbox of this scope would be none."""
    for path in (*scope.read, *scope.write):
        if path.rstrip("/") == "" or _beneath(path, _OURS):
            raise out_of_scope(f"`{path}`", hint="a sandbox holds folders; it cannot hold the machine itself")
        if "\0" in path:
            raise WardwrightError("scope_denied", "a path of the scope has a zero byte in it")


def widest(within: Within) -> Within:
    """Without what lies in a folder that gives the same rights, or more, already.

    >>> widest(Within(read=(("/a", "/a"), ("/w/x", "/w/x")), write=(("/w", "/w"), ("/a/b", "/a/b"), ("/w/y", "/w/y"))))
    Within(read=(('/a', '/a'),), write=(('/w', '/w'), ('/a/b', '/a/b')))
    """
    writable = {real for _, real in within.write}
    readable = writable | {real for _, real in within.read}
    return Within(
        read=tuple(pair for pair in within.read if not _lies_in(pair[1], readable) and pair[1] not in writable),
        write=tuple(pair for pair in within.write if not _lies_in(pair[1], writable)),
    )


def _binds(within: Within, system: tuple[str, ...]) -> list[str]:
    """Wider folders first, so that narrower ones are not hidden beneath them. A folder that the scope spells by way of
    a link lies at both places, unless the link itself is there too."""
    every = {("--bind", *pair) for pair in within.write} | {("--ro-bind", *pair) for pair in within.read}
    bound = (*system, *(real for _, _, real in every))
    words: list[str] = []
    for how, spelled, real in sorted(every, key=lambda one: (one[2].count("/"), one[2], one[1])):
        words += [how, real, real]
        if not _beneath(spelled, bound):
            words += [how, real, spelled]
    return words


def _lies_in(path: str, folders: set[str]) -> bool:
    return _beneath(path, tuple(folders - {path}))


def _beneath(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
