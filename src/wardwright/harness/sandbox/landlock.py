"""Landlock: what a process forbids itself, and all that it starts, without any privilege.

After the kernel's documentation, https://docs.kernel.org/userspace-api/landlock.html (constants from
`include/uapi/linux/landlock.h`). Each kernel knows rights up to its ABI; a right that it does not know cannot be
forbidden, so `plan` says which of the wanted walls are missing, and nobody has to guess.

Rule 1: what a ruleset handles is forbidden but for what its rules allow.
Rule 2: rules add up along the path: what is allowed for a folder is allowed beneath it and cannot be taken back.
"""

from __future__ import annotations

import ctypes
from enum import IntFlag
from functools import cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

from wardwright.harness.sandbox import launcher

_VERSION: Final = 1
"""The flag that asks for the ABI instead of making a ruleset."""


class Right(IntFlag):
    """`LANDLOCK_ACCESS_FS_*`."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    """Link or rename from one folder to another. ABI 2; before it that is always forbidden."""
    TRUNCATE = 1 << 14
    """ABI 3."""
    IOCTL_DEV = 1 << 15
    """ABI 5."""


class Net(IntFlag):
    """`LANDLOCK_ACCESS_NET_*`: ABI 4."""

    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scoped(IntFlag):
    """`LANDLOCK_SCOPE_*`: ABI 6. To processes outside of this ruleset."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


READ: Final = Right.READ_FILE | Right.READ_DIR
RUN: Final = READ | Right.EXECUTE
DEVICE: Final = Right.READ_FILE | Right.WRITE_FILE | Right.IOCTL_DEV
"""What `/dev/null` and its like are good for: nothing is made or removed there."""
WRITE: Final = (
    RUN
    | Right.WRITE_FILE
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.MAKE_SOCK
    | Right.MAKE_FIFO
    | Right.MAKE_SYM
    | Right.REFER
    | Right.TRUNCATE
)
"""Everything but devices."""

Wall: TypeAlias = Literal["files", "truncate", "devices", "tcp", "scoping"]
"""What a ruleset can hold, by the ABI that brought it: 1, 3, 4, 5, 6 (in the kernel's order: files, truncate, tcp,
devices, scoping)."""

_SINCE: Final[tuple[tuple[Wall, int], ...]] = (
    ("files", 1),
    ("truncate", 3),
    ("tcp", 4),
    ("devices", 5),
    ("scoping", 6),
)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a process may still do."""

    read: tuple[str, ...] = ()
    """Paths: read files and folders there and beneath."""
    run: tuple[str, ...] = ()
    """The same, and execute."""
    write: tuple[str, ...] = ()
    """The same, and write, make and remove."""
    devices: tuple[str, ...] = ()
    """Read, write, control; make nothing."""
    connect: tuple[int, ...] | None = ()
    """TCP ports that may be connected to, at any address; None: all."""
    bind: tuple[int, ...] | None = ()
    """TCP ports that may be listened on; None: all."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A ruleset as one kernel takes it."""

    abi: int
    size: int
    """Bytes of the kernel's structure that this ABI reads."""
    fs: int
    net: int
    scoped: int
    paths: tuple[tuple[str, int], ...]
    ports: tuple[tuple[int, int], ...]
    missing: tuple[Wall, ...]
    """What was wanted and this kernel cannot hold."""

    def told(self) -> dict[str, Any]:
        """As `launcher.restrict` takes it: builtin types alone."""
        return {
            "size": self.size,
            "fs": self.fs,
            "net": self.net,
            "scoped": self.scoped,
            "paths": list(self.paths),
            "ports": list(self.ports),
        }


@cache
def abi() -> int:
    """The ABI of this kernel; 0 where it has no Landlock, or has it switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: int = libc.syscall(ctypes.c_long(launcher.LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), _VERSION)
    return max(found, 0)


def plan(rules: Rules, abi: int) -> Plan:
    """The ruleset for a kernel of this ABI, at least 1. Pure.

    >>> plan(Rules(read=("/usr",)), 1).missing
    ('truncate', 'tcp', 'devices', 'scoping')
    >>> plan(Rules(read=("/usr",)), 6).missing
    ()
    """
    known = _rights(abi)
    net = Net(0) if abi < 4 else _handled(rules)
    scoped = Scoped(0) if abi < 6 else Scoped.ABSTRACT_UNIX_SOCKET | Scoped.SIGNAL
    granted = [
        *((path, READ) for path in rules.read),
        *((path, RUN) for path in rules.run),
        *((path, WRITE) for path in rules.write),
        *((path, DEVICE) for path in rules.devices),
    ]
    ports: dict[int, int] = {}
    for right, allowed in ((Net.CONNECT_TCP, rules.connect), (Net.BIND_TCP, rules.bind)):
        for port in allowed or ():
            ports[port] = ports.get(port, 0) | (right & net)
    return Plan(
        abi=abi,
        size=8 if abi < 4 else 16 if abi < 6 else 24,
        fs=int(known),
        net=int(net),
        scoped=int(scoped),
        paths=tuple((path, int(rights & known)) for path, rights in granted),
        ports=tuple((port, rights) for port, rights in sorted(ports.items()) if rights),
        missing=tuple(wall for wall, since in _SINCE if abi < since),
    )


def restrict(rules: Rules) -> Plan:
    """Hold this thread and all that it will start to the rules, for good. Raises OSError where there is no Landlock."""
    wanted = plan(rules, max(abi(), 1))
    launcher.restrict(wanted.told())
    return wanted


def _rights(abi: int) -> Right:
    """All that this ABI knows."""
    last = Right.MAKE_SYM if abi < 2 else Right.REFER if abi < 3 else Right.TRUNCATE if abi < 5 else Right.IOCTL_DEV
    return Right((last << 1) - 1)


def _handled(rules: Rules) -> Net:
    handled = Net(0)
    if rules.connect is not None:
        handled |= Net.CONNECT_TCP
    if rules.bind is not None:
        handled |= Net.BIND_TCP
    return handled
