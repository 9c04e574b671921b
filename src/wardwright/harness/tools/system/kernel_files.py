"""What Linux tells in files under `/proc` and `/etc`, read (`man 5 proc`, `man 5 os-release`). Pure.

What a kernel does not tell is None; only what makes no sense raises Unreadable.
"""

from __future__ import annotations

import shlex
from typing import Final, Literal, TypeAlias

import msgspec

ProcessState: TypeAlias = Literal["running", "sleeping", "waiting", "stopped", "zombie", "dead", "idle", "other"]

_STATES: Final[dict[str, ProcessState]] = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting",
    "T": "stopped",
    "t": "stopped",
    "Z": "zombie",
    "X": "dead",
    "x": "dead",
    "I": "idle",
}


class Unreadable(ValueError):
    """Not what the kernel documents."""


class ProcessParts(msgspec.Struct, frozen=True, kw_only=True):
    """`/proc/PID/stat`."""

    pid: int
    name: str
    state: ProcessState
    parent: int
    cpu_ticks: int
    threads: int
    started_ticks: int
    """After the machine started."""


def process(data: bytes) -> ProcessParts:
    """The name stands in brackets and may hold anything, brackets and blanks too: the last bracket ends it."""
    text = data.decode(errors="replace")
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 1 :].split()
    if not 0 < opening < closing or len(fields) < 22:
        raise Unreadable("a process is not told as `PID (NAME) STATE …`")
    try:
        return ProcessParts(
            pid=int(text[:opening]),
            name=text[opening + 1 : closing],
            state=_STATES.get(fields[0], "other"),
            parent=int(fields[1]),
            cpu_ticks=int(fields[11]) + int(fields[12]),
            threads=int(fields[17]),
            started_ticks=int(fields[19]),
        )
    except ValueError as cause:
        raise Unreadable("a field of a process is not a number") from cause


def owner(data: bytes) -> tuple[int | None, int]:
    """The effective user's number, and the bytes in memory, of `/proc/PID/status`. The kernel's own have no memory."""
    user, memory_bytes = None, 0
    for line in data.decode(errors="replace").splitlines():
        name, _, rest = line.partition(":")
        words = [word for word in rest.split() if word.isascii() and word.isdigit()]
        if name == "Uid" and len(words) > 1:
            user = int(words[1])
        elif name == "VmRSS" and words:
            memory_bytes = int(words[0]) * 1024
    return user, memory_bytes


def memory(data: bytes) -> dict[str, int]:
    """`/proc/meminfo` in bytes, by the kernel's names."""
    found: dict[str, int] = {}
    for line in data.decode(errors="replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isascii() and words[0].isdigit():
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def load(data: bytes) -> tuple[str, str, str] | None:
    """`/proc/loadavg`: over 1, 5 and 15 minutes."""
    words = data.decode(errors="replace").split()
    return (words[0], words[1], words[2]) if len(words) >= 3 else None


def uptime_s(data: bytes) -> int | None:
    """`/proc/uptime`."""
    whole, _, _ = data.decode(errors="replace").partition(".")
    return int(whole) if whole.isascii() and whole.isdigit() else None


def processors(data: bytes) -> int | None:
    """Those that are online, of `/proc/stat`: its lines `cpu0`, `cpu1` and so on."""
    names = [line.split(" ", 1)[0] for line in data.decode(errors="replace").splitlines()]
    return sum(1 for name in names if name.startswith("cpu") and name[3:].isdigit()) or None


def system_name(data: bytes) -> str | None:
    """`PRETTY_NAME` of `/etc/os-release`, whose values are quoted as for a shell."""
    for line in data.decode(errors="replace").splitlines():
        name, sign, value = line.partition("=")
        if name == "PRETTY_NAME" and sign:
            try:
                words = shlex.split(value)
            except ValueError:
                return None
            return words[0] if words else None
    return None
