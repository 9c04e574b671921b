"""`wardwright doctor`: what would keep a gateway from working here, each finding with what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import click
import msgspec

from wardwright.cli.exits import Exit
from wardwright.cli.figures import counted
from wardwright.cli.options import json_option, paths_argument, state_option
from wardwright.cli.output import Output
from wardwright.cli.state import running_in
from wardwright.contracts.provider import Provider
from wardwright.journal.status import ChainStatus
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime import library, offline
from wardwright.runtime.credentials import credential_of
from wardwright.runtime.library import Library
from wardwright.runtime.settings import Settings, address_of, load

DISK_LOW_BYTES: Final = 1024**3
DISK_FULL_BYTES: Final = 100 * 1024**2
SYNC_ROUNDS: Final = 16
SYNC_SLOW_MS: Final = 20.0
CONNECT_S: Final = 3.0

Grade: TypeAlias = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    about: str
    grade: Grade
    says: str
    hint: str | None = None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was looked at."""

    grade: Grade
    """The worst of them."""
    findings: tuple[Finding, ...]


@click.command()
@paths_argument
@click.option("--bind", help="The address that a gateway would listen on.")
@state_option
@json_option
def doctor(paths: tuple[Path, ...], bind: str | None, state: Path, out: Output) -> Exit:
    """Look for what would keep a gateway from working here.

    PATHs are the contract files and folders it would serve; none: the current folder. Providers are connected to, not
    called. Exit 1 when something fails.
    """
    found: list[Finding] = []
    for finding in _examined(paths or (Path(),), bind, state):
        found.append(finding)
        if not out.as_json:
            _tell(finding)
    grades = {finding.grade for finding in found}
    worst: Grade = "fail" if "fail" in grades else "warn" if "warn" in grades else "ok"
    if out.as_json:
        out.answer(Findings(grade=worst, findings=tuple(found)), ())
    return Exit.FAILED if worst == "fail" else Exit.OK


def _tell(finding: Finding) -> None:
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.grade]
    click.echo(f"{click.style(finding.grade, fg=colour)}{'':<{5 - len(finding.grade)}} {finding.about}: {finding.says}")
    if finding.hint is not None:
        click.echo(f"      hint: {finding.hint}")


def _examined(paths: tuple[Path, ...], bind: str | None, state: Path) -> Iterator[Finding]:
    yield _python()
    yield _event_loop()
    yield from _state_directory(state)
    yield from _journal(state)
    try:
        read = library.read(paths)
    except WardwrightError as error:
        yield _refused("contracts", error)
    else:
        yield _contracts(read)
        for name, one in sorted(read.providers.items()):
            yield from _provider(name, one.value, os.environ)
    try:
        settings = load(next((path for path in paths if path.is_dir()), None), os.environ, bind=bind)
    except WardwrightError as error:
        yield _refused("settings", error)
    else:
        yield _port(settings, running_in(state))


def _refused(about: str, error: WardwrightError) -> Finding:
    place = "" if error.place is None else f" ({error.place})"
    return Finding(about=about, grade="fail", says=f"{error.message}{place}", hint=error.hint)


# The machine


def _python() -> Finding:
    release = ".".join(map(str, sys.version_info[:3]))
    return Finding(about="python", grade="ok", says=f"{release} at {sys.executable}")


def _event_loop() -> Finding:
    try:
        import_module("uvloop")
    except ImportError as error:
        hint = "install the project again"
        return Finding(about="event loop", grade="fail", says=f"uvloop cannot be loaded: {error}", hint=hint)
    return Finding(about="event loop", grade="ok", says=f"uvloop {version('uvloop')}")


# The state directory


def _state_directory(state: Path) -> Iterator[Finding]:
    if not state.exists():
        made_in = next(parent for parent in state.absolute().parents if parent.exists())
        writable = os.access(made_in, os.W_OK)
        yield Finding(
            about="state",
            grade="ok" if writable else "fail",
            says=f"{state} is not there yet" + ("" if writable else f", and {made_in} is not yours to write"),
            hint=None if writable else "name another with `--state` or WARDWRIGHT_STATE",
        )
        yield from _disk(made_in)
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    if not os.access(state, os.W_OK | os.X_OK):
        yield Finding(about="state", grade="fail", says=f"{state} is not yours to write", hint="run as its owner")
        return
    if mode & 0o077:
        hint = f"chmod 700 {state}"
        yield Finding(about="state", grade="warn", says=f"others may look into {state} (mode {mode:o})", hint=hint)
    else:
        yield Finding(about="state", grade="ok", says=f"{state}, for its owner alone")
    yield from _disk(state)
    yield _sync(state)


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    says = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_FULL_BYTES:
        yield Finding(about="disk", grade="fail", says=says, hint="make room, or set `retention` in the settings")
    elif free < DISK_LOW_BYTES:
        yield Finding(about="disk", grade="warn", says=says, hint="set `retention` in the settings")
    else:
        yield Finding(about="disk", grade="ok", says=says)


def _sync(state: Path) -> Finding:
    """How long the disk takes to make one record last."""
    took_ms = []
    with tempfile.NamedTemporaryFile(dir=state, prefix=".doctor-") as file:
        for _ in range(SYNC_ROUNDS):
            file.write(b"x" * 1024)
            file.flush()
            before = perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((perf_counter() - before) * 1000)
    median = statistics.median(took_ms)
    says = f"a record lasts after {median:.1f} ms (median), {max(took_ms):.1f} ms at worst"
    if median > SYNC_SLOW_MS:
        hint = "put the state directory on a faster disk, or keep `durability: batch`"
        return Finding(about="sync", grade="warn", says=says, hint=hint)
    return Finding(about="sync", grade="ok", says=says)


def _journal(state: Path) -> Iterator[Finding]:
    if not offline.has_state(state):
        yield Finding(about="journal", grade="ok", says="there is none yet; the first start makes it")
        return
    url = running_in(state)
    try:
        chains = offline.StoredJournal(state).chains()
    except WardwrightError as error:
        refused = _refused("journal", error)
        yield msgspec.structs.replace(refused, hint="`wardwright journal verify` says where")
        return
    for chain in chains:
        yield _chain(chain, url)


def _chain(chain: ChainStatus, url: str | None) -> Finding:
    about = f"journal {chain.chain.chain}"
    ends = f"{counted(chain.seq, 'record')} in {counted(chain.segments, 'segment')}"
    mark = chain.checkpoint
    if mark is not None and mark.seq == chain.seq and mark.reason == "closed":
        return Finding(about=about, grade="ok", says=f"{ends}, closed in good order")
    if url is not None:
        return Finding(about=about, grade="ok", says=f"{ends}, being written by the gateway at {url}")
    hint = "the next start records what was under way as lost"
    return Finding(about=about, grade="warn", says=f"{ends}, not closed: the gateway was killed", hint=hint)


# What would be served


def _contracts(read: Library) -> Finding:
    says = f"{counted(len(read.models), 'model')} and {counted(len(read.providers), 'provider')}"
    if read.errors:
        says += f", {counted(len(read.errors), 'refusal')}"
        return Finding(about="contracts", grade="fail", says=says, hint="`wardwright check` shows them")
    if not read.models:
        hint = "name contract files or folders"
        return Finding(about="contracts", grade="warn", says="no model in these files", hint=hint)
    return Finding(about="contracts", grade="ok", says=says)


def _provider(name: str, provider: Provider, environment: Mapping[str, str]) -> Iterator[Finding]:
    about = f"provider {name}"
    references = [value for _, value in provider.headers if value.startswith(("env:", "file:"))]
    references += [] if provider.credential is None else [provider.credential]
    for reference in references:
        try:
            credential_of(reference, environment)
        except WardwrightError as error:
            yield Finding(about=about, grade="fail", says=f"{reference}: {error.message}", hint=error.hint)
    if provider.base_url is None:
        yield Finding(about=about, grade="ok", says=f"{provider.transport}: answers from its own document")
        return
    if provider.proxy is not None:
        yield Finding(about=about, grade="ok", says="reached through a proxy; not tried")
        return
    address = urlsplit(provider.base_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        before = perf_counter()
        socket.create_connection((address.hostname or "", port), CONNECT_S).close()
    except OSError as error:
        says = f"{address.hostname}:{port} cannot be reached: {error.strerror or error}"
        yield Finding(about=about, grade="fail", says=says, hint="is it running, and is its `base_url` right?")
        return
    says = f"{address.hostname}:{port} answers in {(perf_counter() - before) * 1000:.0f} ms"
    yield Finding(about=about, grade="ok", says=says)


def _port(settings: Settings, url: str | None) -> Finding:
    if url is not None:
        return Finding(about="port", grade="ok", says=f"a gateway of this state directory answers at {url}")
    host, port = address_of(settings.bind)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        hint = "choose another address with `--bind`"
        return Finding(about="port", grade="fail", says=f"{settings.bind}: {error.strerror or error}", hint=hint)
    return Finding(about="port", grade="ok", says=f"{settings.bind} is free")
