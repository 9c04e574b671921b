"""The systemd units of an installation, made here so that the command, the files in the repository and the docs agree.

Three services over one state directory, as one account that exists while any of them runs: the gateway, its health,
and a runner of tasks for each house (`wardwright-tasks@HOUSE`).

Rule 1: everything that a service does not need is taken from it. What it does need is said beside it.
Rule 2: a service that is stuck is restarted by its watchdog, one that fails is restarted a few times and then left, so
that somebody looks.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Line: TypeAlias = str
"""`Name=value`, or a comment."""

ServiceName: TypeAlias = Literal["gateway", "health", "tasks@"]
SERVICES: Final[tuple[ServiceName, ...]] = ("gateway", "health", "tasks@")

LANDLOCK: Final = "landlock_add_rule landlock_create_ruleset landlock_restrict_self"
"""Named one by one: older releases of systemd know no group of them."""

PROGRAM: Final = "/usr/local/bin/wardwright"
STATE: Final = "wardwright"
"""Of the state and the configuration directory, below those of the system or the user."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One unit file."""

    name: str
    """Of the file."""
    text: str


class _Service(msgspec.Struct, frozen=True, kw_only=True):
    means: str
    command: str
    watchdog_s: int
    stop_s: int
    after: str = "network.target"
    reloads: bool = True
    walls: bool = False
    """It puts walls around programs of its own."""
    local: bool = False
    """It speaks with this machine alone."""


_SERVICES: Final[dict[ServiceName, _Service]] = {
    "gateway": _Service(
        means="Wardwright gateway: a governed front door for agentic systems",
        command="serve %E/wardwright",
        watchdog_s=30,
        stop_s=90,
        after="network-online.target",
    ),
    "health": _Service(
        means="Wardwright health: /healthz, /readyz and /metrics of an installation",
        # Its own walls would say nothing of those that a runner of tasks can put up.
        command="health --serve --every 15s --no-sandbox",
        watchdog_s=60,
        stop_s=30,
        reloads=False,
        local=True,
    ),
    "tasks@": _Service(
        means="Wardwright tasks of the house %i",
        command="task run --house %i --config %E/wardwright",
        watchdog_s=60,
        stop_s=90,
        walls=True,
    ),
}

_ALWAYS: Final[tuple[Line, ...]] = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
)
"""What the service manager of a user can do, too."""

_SYSTEM: Final[tuple[Line, ...]] = (
    "AmbientCapabilities=",
    "CapabilityBoundingSet=",
    "DevicePolicy=closed",
    "KeyringMode=private",
    "PrivateDevices=yes",
    "PrivateMounts=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelModules=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
)

_UNWALLED: Final[tuple[Line, ...]] = (
    "MemoryDenyWriteExecute=yes",
    "PrivateUsers=yes",
    "ProcSubset=pid",
    "ProtectKernelLogs=yes",
    "ProtectKernelTunables=yes",
    "RestrictNamespaces=yes",
)
"""Not for a service that starts programs behind bubblewrap: the kernel gives a namespace a /proc of its own only
where nothing of the service's /proc is masked, and what the programs need is for tools to say."""


def unit(service: ServiceName, *, user: bool = False, program: str = PROGRAM) -> Unit:
    """One unit, for the system's manager or for a user's. `program` is the absolute path of the command."""
    one = _SERVICES[service]
    sections = {
        "Unit": _about(one, user),
        "Service": [*_running(one, program), *_limits(one, user), *_walls(one, user)],
        "Install": ["WantedBy=default.target" if user else "WantedBy=multi-user.target"],
    }
    head = "# Made by `wardwright units`. Change it with `systemctl edit`, which survives the next release.\n"
    body = "\n\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in sections.items())
    return Unit(name=f"wardwright-{service}.service", text=f"{head}\n{body}\n")


def units(*, user: bool = False, program: str = PROGRAM) -> tuple[Unit, ...]:
    return tuple(unit(service, user=user, program=program) for service in SERVICES)


def _about(one: _Service, user: bool) -> list[Line]:
    lines = [f"Description={one.means}"]
    if not user:
        lines += [f"After={one.after}", *([f"Wants={one.after}"] if one.after == "network-online.target" else [])]
    return [*lines, "StartLimitIntervalSec=300", "StartLimitBurst=5"]


def _running(one: _Service, program: str) -> list[Line]:
    lines = ["Type=notify", "NotifyAccess=main", f"ExecStart={program} {one.command}"]
    if one.reloads:
        lines.append("ExecReload=/bin/kill -HUP $MAINPID")
    lines += [
        "Restart=on-failure",
        "RestartSec=2",
        "TimeoutStartSec=120",
        f"TimeoutStopSec={one.stop_s}",
        f"WatchdogSec={one.watchdog_s}",
        "# Credentials that contracts name as `env:NAME`, a line each.",
        "EnvironmentFile=-%E/wardwright/environment",
    ]
    if one.walls:
        lines += ["# What runs is ended by the runner, which then writes down how it ended.", "KillMode=mixed"]
    return lines


def _limits(one: _Service, user: bool) -> list[Line]:
    lines = ["", "LimitCORE=0", "LimitNOFILE=65536", "TasksMax=4096"]
    if user:
        return lines
    return [
        *lines,
        "",
        "# One account for all services of the installation, there while any of them runs.",
        "DynamicUser=yes",
        f"User={STATE}",
        f"StateDirectory={STATE}",
        "StateDirectoryMode=0700",
        f"ConfigurationDirectory={STATE}",
        f"Environment=WARDWRIGHT_STATE=%S/{STATE}",
    ]


def _walls(one: _Service, user: bool) -> list[Line]:
    lines = ["", *_ALWAYS]
    families = "AF_UNIX AF_INET AF_INET6"
    if one.walls:
        lines += [
            "# bubblewrap: namespaces of its own, and mounts within them. netlink brings the loopback of one up.",
            f"RestrictAddressFamilies={families} AF_NETLINK",
            "SystemCallFilter=@system-service @mount",
            f"SystemCallFilter={LANDLOCK} seccomp",
        ]
    else:
        lines += [
            f"RestrictAddressFamilies={families}",
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@privileged",
        ]
    if user:
        return lines
    lines += _SYSTEM
    if one.local:
        lines += ["IPAddressDeny=any", "IPAddressAllow=localhost"]
    if one.walls:
        return [
            *lines,
            "# Folders beyond the state directory that tools of this house may write, in a drop-in: ReadWritePaths=…",
        ]
    return [*lines, *_UNWALLED]
