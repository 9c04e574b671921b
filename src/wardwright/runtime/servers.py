"""MCP servers beside the contracts: `mcp.json` says which there are, `mcp.lock.json` what was pinned of them.

Rule 1: a server whose entry has no pin, or another entry than it was pinned with, brings no tool; its folder says so.
Rule 2: reading never starts anything: tools are known from their pins.
Rule 3: both files are written whole, the pin first: an entry without a pin is refused, a pin without an entry is idle.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from wardwright.contracts.secrets import is_reference
from wardwright.harness.core.mcp import entries, lock, served
from wardwright.harness.core.mcp.definitions import Definitions
from wardwright.harness.core.mcp.entries import Address, Entry, Program
from wardwright.harness.core.mcp.lock import Lock, Pin
from wardwright.harness.core.mcp.served import Peers, Returned
from wardwright.harness.core.tool import AnyTool, Context
from wardwright.harness.mcp.extra import require_sdk
from wardwright.harness.mcp.peers import Server
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.runtime.credentials import credential_of
from wardwright.runtime.settings import SERVERS_FILE, SERVERS_LOCK_FILE

FILE_BYTES_MAX: Final = 64 * 1024 * 1024


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What one folder says of servers."""

    folder: Path
    entries: Mapping[str, Entry]
    lock: Lock

    def require_pin(self, name: str) -> Pin:
        """Raises `tool_server_unpinned`."""
        pin = self.lock.servers.get(name)
        place = Place(file=str(self.folder / SERVERS_FILE), path=f"{entries.MEMBER}.{name}")
        hint = f"`wardwright mcp verify {name} --pin` looks at what it offers, and pins it"
        if pin is None:
            message = f"the server `{name}` was never pinned"
            raise WardwrightError("tool_server_unpinned", message, place=place, hint=hint)
        if pin.entry != entries.digest_of(self.entries[name]):
            message = f"the entry of the server `{name}` is not the one that was pinned"
            raise WardwrightError("tool_server_unpinned", message, place=place, hint=hint)
        return pin


def declared_in(folder: Path) -> Declared:
    """Blocks. Raises what `entries.decode` and `lock.decode` raise; a file that is not there holds nothing."""
    file, lock_file = folder / SERVERS_FILE, folder / SERVERS_LOCK_FILE
    data, lock_data = _read(file), _read(lock_file)
    return Declared(
        entries={} if data is None else entries.decode(data, str(file)),
        folder=folder,
        lock=Lock() if lock_data is None else lock.decode(lock_data, str(lock_file)),
    )


def functions_in(
    folders: Iterable[Path], peers: Peers, add: Callable[[Server], None] | None, environment: Mapping[str, str]
) -> tuple[tuple[AnyTool, ...], tuple[WardwrightError, ...]]:
    """The pinned tools of all servers of these folders, and why others are left out. `add` hears of each server."""
    made: list[AnyTool] = []
    errors: list[WardwrightError] = []
    seen: set[str] = set()
    for folder in folders:
        try:
            declared = declared_in(folder)
        except WardwrightError as error:
            errors.append(error)
            continue
        for name, entry in declared.entries.items():
            try:
                pin = declared.require_pin(name)
                if name in seen:
                    raise WardwrightError("contract_duplicate", f"two servers are named `{name}`")
                found = served.functions(name, entry, pin.definitions, trusted=pin.trust_annotations, peers=peers)
            except WardwrightError as error:
                errors.append(error)
                continue
            seen.add(name)
            made.extend(found)
            if add is not None:
                add(
                    Server(
                        entry=lambda entry=entry: resolved(entry, environment),  # type: ignore[misc]  # bound now
                        folder=folder,
                        name=name,
                        pinned=pin.definitions,
                    )
                )
    return tuple(made), tuple(errors)


def folders_of(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the paths that say something of servers."""
    return tuple(path for path in paths if path.is_dir() and (path / SERVERS_FILE).is_file())


class Unreached:
    """Nobody is called: tools are only looked at. Implements `harness.core.mcp.served.Peers`."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], context: Context) -> Returned:
        raise WardwrightError("tool_failed", f"the server `{server}` is not reached from here")


def resolved(entry: Entry, environment: Mapping[str, str]) -> Entry:
    """The entry with what its references lead to. Raises `credential_unreadable`."""

    def value(text: str) -> str:
        return credential_of(text, environment).decode() if is_reference(text) else text

    match entry:
        case Program():
            return msgspec.structs.replace(entry, env={name: value(text) for name, text in entry.env.items()})
        case Address():
            return msgspec.structs.replace(entry, headers={name: value(text) for name, text in entry.headers.items()})


async def look(entry: Entry, *, folder: Path, environment: Mapping[str, str], timeout_s: float) -> Definitions:
    """What a server offers now. Raises `extra_missing`, `credential_unreadable`, `tool_failed`."""
    require_sdk()
    from wardwright.harness.mcp.connection import Session, with_session

    async def listed(session: Session) -> Definitions:
        return await session.listed()

    try:
        async with asyncio.timeout(timeout_s):
            return await with_session(resolved(entry, environment), listed, folder=folder, environment=environment)
    except TimeoutError as cause:
        raise WardwrightError("tool_failed", f"it did not answer within {timeout_s:g} s") from cause


# Writing


def write(folder: Path, name: str, entry: Entry | None, kept: Lock) -> None:
    """Put a server's entry and the lock file; without an entry it is taken out. Blocks. Raises `usage`."""
    file = folder / SERVERS_FILE
    data = _read(file)
    document: dict[str, Any] = {} if data is None else msgspec.json.decode(data)
    servers = dict(document.get(entries.MEMBER, {}))
    if entry is None:
        servers.pop(name, None)
    else:
        servers[name] = {**{k: v for k, v in servers.get(name, {}).items() if k == "type"}, **entries.written(entry)}
    document[entries.MEMBER] = servers
    if entry is None:
        _put(file, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    write_lock(folder, kept)
    if entry is not None:
        _put(file, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def write_lock(folder: Path, kept: Lock) -> None:
    """Put the lock file. Blocks. Raises `usage`."""
    _put(folder / SERVERS_LOCK_FILE, lock.encode(kept))


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as cause:
        place = Place(file=str(file))
        raise WardwrightError("contract_syntax", f"the file cannot be read: {cause.strerror}", place=place) from cause
    if len(data) > FILE_BYTES_MAX:
        raise WardwrightError(
            "contract_syntax", f"the file has more than {FILE_BYTES_MAX:,} bytes", place=Place(file=str(file))
        )
    return data


def _put(file: Path, data: bytes) -> None:
    fresh = file.with_name(f".{file.name}.new")
    try:
        with fresh.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
    except OSError as cause:
        raise WardwrightError("usage", f"`{file}` cannot be written: {cause.strerror}") from cause
