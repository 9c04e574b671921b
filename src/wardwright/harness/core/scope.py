"""What one call may touch: its contract's scope with the call's arguments in the holes.

Rule 1: an argument fills a hole as it is. It cannot climb (`..`), and a path must be absolute once it is filled.
Rule 2: a host that an argument chose is within reach at public addresses alone; a contract names the private ones.
Rule 3: an argument that was left out takes its entry with it.
Rule 4: a path has one spelling, without `.` and doubled slashes: rules and receipts compare what stands here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wardwright.contracts import template
from wardwright.contracts.tool import ToolContract
from wardwright.harness.core.hands import Scope
from wardwright.kernel.errors import Place, WardwrightError

ENTRIES_MAX: Final = 4096
"""Entries of one member of a call's scope."""

PORTS: Final = {"http": 80, "https": 443}


def scope_of(contract: ToolContract, arguments: msgspec.Struct) -> Scope:
    """The scope of one call. Raises `tool_arguments`.

    >>> from wardwright.contracts.tool import ToolScope
    >>> class Reading(msgspec.Struct):
    ...     path: str
    >>> reading = ToolContract(name="x", effect="read", reversal="T0", scope=ToolScope(read=("{path}",)))
    >>> scope_of(reading, Reading("/srv/notes.txt")).read
    ('/srv/notes.txt',)
    """
    values = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
    scope = contract.scope
    chosen = [host for host in scope.hosts if template.holes(host)]
    return Scope(
        read=tuple(path for entry in scope.read for path in _paths(entry, values)),
        write=tuple(path for entry in scope.write for path in _paths(entry, values)),
        hosts=tuple(template.filled(host, {}) for host in scope.hosts if host not in chosen),
        public_hosts=tuple(host for entry in chosen for host in _hosts(entry, values)),
        programs=scope.programs,
        environment=scope.environment,
    )


def _paths(entry: str, values: Mapping[str, object]) -> Iterator[str]:
    for path in _entries(entry, values):
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            message = f"`{path}` is not an absolute path without `..`"
            raise WardwrightError("tool_arguments", message, place=_place(entry))
        yield "/" + posixpath.normpath(path).lstrip("/")


def _hosts(entry: str, values: Mapping[str, object]) -> Iterator[str]:
    if any("*" in str(values[name]) for name in template.holes(entry)):
        raise WardwrightError("tool_arguments", "a host that is asked for has no `*`", place=_place(entry))
    for host in _entries(entry, values):
        yield host_of(host, entry) if "://" in host else host


def host_of(url: str, entry: str = "{url}") -> str:
    """The `host:port` of an HTTP address. Raises `tool_arguments`."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname or port is None or not url.isprintable() or " " in url:
        message = "an address is `http://…` or `https://…` with a host"
        raise WardwrightError("tool_arguments", message, place=_place(entry))
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def _entries(entry: str, values: Mapping[str, object]) -> Iterator[str]:
    """The entry for each value of its hole: an entry has one hole that may be a list, or any number of plain ones."""
    names = template.holes(entry)
    if any(values[name] in (None, (), msgspec.UNSET) for name in names):
        return
    lists = [name for name in names if isinstance(values[name], tuple)]
    plain = {name: str(values[name]) for name in names if name not in lists}
    if not lists:
        yield template.filled(entry, plain)
        return
    listed = values[lists[0]]
    assert isinstance(listed, tuple)
    if len(listed) > ENTRIES_MAX:
        raise WardwrightError("tool_arguments", f"more than {ENTRIES_MAX:,} values", place=_place(entry))
    for value in listed:
        yield template.filled(entry, {**plain, lists[0]: str(value)})


def _place(entry: str) -> Place:
    return Place(path=", ".join(template.holes(entry)) or None)
