"""system.info, process.list, disk.usage: the machine, as Linux tells of it in files and `df` of file systems."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.hands import Hands
from wardwright.harness.core.payload import fitting_items
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.harness.tools import programs
from wardwright.harness.tools.system import kernel_files
from wardwright.harness.tools.system.kernel_files import ProcessState, Unreadable
from wardwright.harness.tools.words import AbsolutePath
from wardwright.kernel.errors import WardwrightError

FILE_BYTES_MAX: Final = 256 * 1024
"""Of one file of the kernel."""
PROCESSES_MAX: Final = 16_384
"""Processes that are looked at."""
TICKS_PER_S: Final = 100
"""What the kernel counts times in, towards programs (`USER_HZ`)."""


# system.info


class InfoArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to say."""


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """The machine now. What it does not tell is None."""

    host: str | None
    system: str | None
    """Such as `Debian GNU/Linux 12 (bookworm)`."""
    kernel: str | None
    uptime_s: int | None
    processors: int | None
    load: tuple[str, str, str] | None
    """Processes that run or wait to, over 1, 5 and 15 minutes."""
    memory_bytes: int | None
    memory_available_bytes: int | None
    """What could be had without swapping."""
    swap_bytes: int | None
    swap_free_bytes: int | None


async def info(arguments: InfoArguments, context: Context) -> Info:
    """Tell a machine's name, system, load and memory."""
    hands = context.hands
    memory = kernel_files.memory(await _read(hands, "/proc/meminfo"))
    return Info(
        host=_line(await _read(hands, "/proc/sys/kernel/hostname")),
        system=kernel_files.system_name(await _read(hands, "/etc/os-release")),
        kernel=_line(await _read(hands, "/proc/sys/kernel/osrelease")),
        uptime_s=kernel_files.uptime_s(await _read(hands, "/proc/uptime")),
        processors=kernel_files.processors(await _read(hands, "/proc/stat")),
        load=kernel_files.load(await _read(hands, "/proc/loadavg")),
        memory_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        swap_bytes=memory.get("SwapTotal"),
        swap_free_bytes=memory.get("SwapFree"),
    )


async def _read(hands: Hands, path: str) -> bytes:
    """A file of the kernel; nothing where there is none. What is out of scope is refused, as ever."""
    try:
        return (await hands.read(path, bytes_max=FILE_BYTES_MAX)).data
    except WardwrightError as error:
        if error.code != "tool_failed":
            raise
        return b""


def _line(data: bytes) -> str | None:
    return data.decode(errors="replace").strip() or None


# process.list


class ProcessesArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which processes."""

    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Only those whose name holds this text."""
    order: Literal["memory", "cpu", "pid"] = "memory"
    """Which come first: those with the most memory, with the most processor time, or with the lowest number."""
    count_max: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process."""

    pid: int
    parent: int
    name: str
    """At most 15 characters, as the kernel keeps it. Arguments are not told: people put passwords there."""
    user: int | None
    """The number of its effective user."""
    state: ProcessState
    memory_bytes: int
    cpu_ms: int
    """Processor time since it began."""
    threads: int


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """Processes in the order that was asked for."""

    processes: tuple[Process, ...]
    count: int
    """Of all that fit, told or not."""
    truncated: bool


async def processes(arguments: ProcessesArguments, context: Context) -> Processes:
    """List processes by memory, processor time or number."""
    listing = await context.hands.list("/proc", items_max=PROCESSES_MAX)
    found: list[Process] = []
    for item in listing.items:
        if item.name.isascii() and item.name.isdigit():
            one = await _process(context.hands, item.name)
            if one is not None and arguments.name in one.name:
                found.append(one)
    match arguments.order:
        case "memory":
            found.sort(key=lambda one: (-one.memory_bytes, one.pid))
        case "cpu":
            found.sort(key=lambda one: (-one.cpu_ms, one.pid))
        case "pid":
            found.sort(key=lambda one: one.pid)
    told = fitting_items(found[: arguments.count_max], context.output_bytes_max // 2)
    return Processes(processes=told, count=len(found), truncated=listing.truncated or len(told) < len(found))


async def _process(hands: Hands, pid: str) -> Process | None:
    """None for a process that ended while it was looked at."""
    try:
        parts = kernel_files.process(await _read(hands, f"/proc/{pid}/stat"))
    except Unreadable:
        return None
    user, memory_bytes = kernel_files.owner(await _read(hands, f"/proc/{pid}/status"))
    return Process(
        pid=parts.pid,
        parent=parts.parent,
        name=parts.name,
        user=user,
        state=parts.state,
        memory_bytes=memory_bytes,
        cpu_ms=parts.cpu_ticks * 1000 // TICKS_PER_S,
        threads=parts.threads,
    )


# disk.usage


class DiskArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where."""

    path: AbsolutePath = "/"
    """The file system that holds this."""


class DiskUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How full a file system is."""

    path: str
    """What was asked for."""
    kind: str
    """Such as `ext4`."""
    size_bytes: int
    used_bytes: int
    available_bytes: int
    """To others than root."""
    used_ppm: int
    """Of what others than root could ever use, in parts per million."""
    files_max: int | None
    """None where the file system has no such bound."""
    files_used: int | None


DF_COLUMNS: Final = "fstype,size,used,avail,itotal,iused"
"""None of them holds blanks. Where a file system is mounted is not asked for: behind walls it is mounted elsewhere."""


async def disk(arguments: DiskArguments, context: Context) -> DiskUsage:
    """Tell how full the file system is that holds a path."""
    ended = await programs.run(
        context, "df", "--block-size=1", f"--output={DF_COLUMNS}", "--", arguments.path, output_bytes_max=64 * 1024
    )
    return disk_usage(arguments.path, programs.require_success(ended, "`df`").stdout)


def disk_usage(path: str, data: bytes) -> DiskUsage:
    """What `df --block-size=1 --output=DF_COLUMNS` says of a path. Raises `tool_failed`."""
    lines = data.decode(errors="replace").splitlines()
    fields = lines[1].split() if len(lines) == 2 else []
    if len(fields) != 6:
        raise WardwrightError("tool_failed", "the answer of `df` cannot be read")
    size, used, available, files, files_used = (_number(field) for field in fields[1:6])
    usable = (used or 0) + (available or 0)
    return DiskUsage(
        path=path,
        kind=fields[0],
        size_bytes=size or 0,
        used_bytes=used or 0,
        available_bytes=available or 0,
        used_ppm=(used or 0) * 1_000_000 // usable if usable else 0,
        files_max=files or None,
        files_used=files_used if files else None,
    )


def _number(text: str) -> int | None:
    """`df` writes `-` for what it cannot tell."""
    return int(text) if text.isascii() and text.isdigit() else None


# Contracts

INFO: Final = Tool(
    contract=ToolContract(
        name="system.info",
        effect="read",
        reversal="T0",
        implements="system.info",
        timeout_s=10,
        scope=ToolScope(
            read=(
                "/etc/os-release",
                "/proc/loadavg",
                "/proc/meminfo",
                "/proc/stat",
                "/proc/sys/kernel/hostname",
                "/proc/sys/kernel/osrelease",
                "/proc/uptime",
                "/usr/lib/os-release",
            )
        ),
    ),
    arguments=InfoArguments,
    result=Info,
    run=info,
)

PROCESSES: Final = Tool(
    contract=ToolContract(
        name="process.list",
        effect="read",
        reversal="T0",
        implements="process.list",
        timeout_s=20,
        scope=ToolScope(read=("/proc",)),
    ),
    arguments=ProcessesArguments,
    result=Processes,
    run=processes,
)

DISK: Final = Tool(
    contract=ToolContract(
        name="disk.usage",
        effect="read",
        reversal="T0",
        implements="disk.usage",
        timeout_s=10,
        scope=ToolScope(read=("{path}",), programs=("df",)),
    ),
    arguments=DiskArguments,
    result=DiskUsage,
    run=disk,
)

TOOLS: Final[tuple[AnyTool, ...]] = (INFO, PROCESSES, DISK)
