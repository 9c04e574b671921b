"""service.status, service.control, log.tail: systemd's units, by the forms that `systemctl` and `journalctl` write for
programs.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.payload import fitting_items
from wardwright.harness.core.tool import AnyTool, Context, Tool
from wardwright.harness.tools import programs
from wardwright.harness.tools.words import UnitName
from wardwright.kernel.errors import WardwrightError

LINE_CHARS_MAX: Final = 2000
"""Of one line of a log."""

SYSTEMD: Final = ToolScope(
    read=("/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/system"), programs=("systemctl",)
)
"""Where systemd is asked."""

JOURNAL: Final = ToolScope(read=("/etc/machine-id", "/run/log/journal", "/var/log/journal"), programs=("journalctl",))
"""Where the journal lies, and the name of the folder in it."""

PROPERTIES: Final = (
    "ActiveState", "Description", "ExecMainStatus", "Id", "LoadState", "MainPID", "MemoryCurrent", "NRestarts",
    "Result", "SubState", "UnitFileState",
)  # fmt: skip

LEVELS: Final = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
"""The journal's priorities 0 to 7."""

Level = Literal["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"]

_UNSET: Final = str(2**64 - 1)
"""What systemd writes for a count that it does not keep."""


# service.status


class StatusArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which service."""

    unit: UnitName
    """A systemd unit, such as `nginx.service`; without a suffix a service is meant."""


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a unit is."""

    unit: str
    active: str
    """`active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`."""
    sub: str
    """The unit's own word, such as `running` or `exited`."""
    description: str
    enabled: str | None
    """Whether it starts with the machine: `enabled`, `disabled`, `static` and others."""
    result: str
    """`success`, or how its last run ended."""
    pid: int | None
    restarts: int | None
    """By systemd itself, since it was started."""
    exit_code: int | None
    """Of its last run."""
    memory_bytes: int | None


async def status(arguments: StatusArguments, context: Context) -> ServiceStatus:
    """Tell whether a systemd unit runs, and how its last run ended."""
    ended = await programs.run(
        context,
        "systemctl",
        "show",
        "--no-pager",
        f"--property={','.join(PROPERTIES)}",
        "--",
        arguments.unit,
        output_bytes_max=64 * 1024,
    )
    values = properties(programs.require_success(ended, "`systemctl show`").stdout)
    if values.get("LoadState") == "not-found":
        raise WardwrightError("tool_failed", f"there is no unit `{arguments.unit}`")
    return ServiceStatus(
        unit=values.get("Id", arguments.unit),
        active=values.get("ActiveState", "unknown"),
        sub=values.get("SubState", "unknown"),
        description=values.get("Description", ""),
        enabled=values.get("UnitFileState") or None,
        result=values.get("Result", "unknown"),
        pid=_count(values, "MainPID") or None,
        restarts=_count(values, "NRestarts"),
        exit_code=_count(values, "ExecMainStatus"),
        memory_bytes=_count(values, "MemoryCurrent"),
    )


def properties(data: bytes) -> dict[str, str]:
    """`NAME=VALUE` lines, as `systemctl show` writes them for one unit."""
    pairs = (line.partition("=") for line in data.decode(errors="replace").splitlines())
    return {name: value for name, sign, value in pairs if sign}


def _count(values: dict[str, str], name: str) -> int | None:
    text = values.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and text != _UNSET else None


# service.control


class ControlArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with which service."""

    unit: UnitName
    """A systemd unit, such as `nginx.service`; without a suffix a service is meant."""
    action: Literal["start", "stop", "restart", "reload"]


class Controlled(msgspec.Struct, frozen=True, kw_only=True):
    """How the unit was and is."""

    unit: str
    action: str
    before: str
    """As `active` of `service.status`."""
    after: str


async def control(arguments: ControlArguments, context: Context) -> Controlled:
    """Start, stop, restart or reload a systemd unit, and wait until it is done."""
    before = await status(StatusArguments(unit=arguments.unit), context)
    ended = await programs.run(
        context,
        "systemctl",
        arguments.action,
        "--no-pager",
        "--no-ask-password",
        "--quiet",
        "--",
        arguments.unit,
        output_bytes_max=64 * 1024,
    )
    programs.require_success(ended, f"`systemctl {arguments.action}`")
    after = await status(StatusArguments(unit=arguments.unit), context)
    return Controlled(unit=after.unit, action=arguments.action, before=before.active, after=after.active)


# log.tail


class TailArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines."""

    unit: UnitName
    """A systemd unit, such as `nginx.service`."""
    lines: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 100
    """The most lines, the latest ones."""
    since_s: Annotated[int, msgspec.Meta(ge=1, le=30 * 86_400)] | None = None
    """Only lines that are no older, in seconds."""
    level: Level | None = None
    """Only lines as grave as this, or graver."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the journal."""

    at_us: int
    """µs since the epoch."""
    level: Level | None
    name: str | None
    """What wrote it."""
    pid: int | None
    text: str


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The latest lines, the oldest of them first."""

    lines: tuple[LogLine, ...]
    truncated: bool
    """Lines are missing between the first and the last, or are cut."""


async def tail(arguments: TailArguments, context: Context) -> Tail:
    """Read the latest lines that a systemd unit wrote to the journal."""
    options = [f"--lines={arguments.lines}"]
    if arguments.since_s is not None:
        options.append(f"--since=-{arguments.since_s}s")
    if arguments.level is not None:
        options.append(f"--priority={LEVELS.index(arguments.level)}")
    fields = "__REALTIME_TIMESTAMP,PRIORITY,SYSLOG_IDENTIFIER,_PID,MESSAGE"
    ended = await programs.run(
        context,
        "journalctl",
        "--no-pager",
        "--output=json",
        f"--output-fields={fields}",
        *options,
        f"--unit={arguments.unit}",
        output_bytes_max=4 * context.output_bytes_max,
    )
    found, cut = journal(programs.require_success(ended, "`journalctl`").stdout)
    if not found and b"No journal files" in ended.stderr:
        raise WardwrightError("tool_failed", "no journal can be read here")
    lines = fitting_items(found, context.output_bytes_max // 2)
    return Tail(lines=lines, truncated=cut or ended.truncated or len(lines) < len(found))


class _Entry(msgspec.Struct):
    """The journal writes numbers as texts, text that is not UTF-8 as a list of bytes, a field that stands twice as a
    list of its values, and null for what is too large."""

    realtime: str = msgspec.field(name="__REALTIME_TIMESTAMP", default="0")
    priority: object = msgspec.field(name="PRIORITY", default=None)
    identifier: object = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    pid: object = msgspec.field(name="_PID", default=None)
    message: object = msgspec.field(name="MESSAGE", default=None)


def journal(data: bytes) -> tuple[tuple[LogLine, ...], bool]:
    """The entries of `journalctl --output=json`, one a line, and whether anything of them was cut."""
    found: list[LogLine] = []
    cut = False
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line, type=_Entry)
        except (msgspec.MsgspecError, RecursionError):
            cut = True
            continue
        text = _text(entry.message) or ""
        cut = cut or entry.message is None or len(text) > LINE_CHARS_MAX
        priority, pid = _text(entry.priority) or "", _text(entry.pid) or ""
        found.append(
            LogLine(
                at_us=int(entry.realtime) if entry.realtime.isascii() and entry.realtime.isdigit() else 0,
                level=_level(priority),
                name=_text(entry.identifier),
                pid=int(pid) if pid.isascii() and pid.isdigit() else None,
                text=text[:LINE_CHARS_MAX],
            )
        )
    return tuple(found), cut


def _level(priority: str) -> Level | None:
    by_number: dict[str, Level] = {
        "0": "emergency", "1": "alert", "2": "critical", "3": "error", "4": "warning", "5": "notice", "6": "info",
        "7": "debug",
    }  # fmt: skip
    return by_number.get(priority)


def _text(value: object) -> str | None:
    match value:
        case str():
            return value
        case [str() as first, *_]:
            return first
        case list() if all(isinstance(one, int) and 0 <= one < 256 for one in value):
            return bytes(value).decode(errors="replace")
        case _:
            return None


# Contracts

STATUS: Final = Tool(
    contract=ToolContract(
        name="service.status",
        effect="read",
        reversal="T0",
        implements="service.status",
        timeout_s=10,
        scope=SYSTEMD,
    ),
    arguments=StatusArguments,
    result=ServiceStatus,
    run=status,
)

CONTROL: Final = Tool(
    contract=ToolContract(
        name="service.control",
        effect="irreversible",
        reversal="T3",
        implements="service.control",
        timeout_s=120,
        scope=SYSTEMD,
    ),
    arguments=ControlArguments,
    result=Controlled,
    run=control,
)

TAIL: Final = Tool(
    contract=ToolContract(
        name="log.tail",
        effect="read",
        reversal="T0",
        implements="log.tail",
        timeout_s=20,
        scope=JOURNAL,
    ),
    arguments=TailArguments,
    result=Tail,
    run=tail,
)

TOOLS: Final[tuple[AnyTool, ...]] = (STATUS, CONTROL, TAIL)
