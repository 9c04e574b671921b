"""`wardwright mcp add|verify|remove`: servers whose tools are taken in, and what was pinned of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import click
import msgspec

from wardwright.cli.exits import Exit
from wardwright.cli.options import json_option
from wardwright.cli.output import Output
from wardwright.harness.core.mcp.definitions import Change, Definitions, changes, shown
from wardwright.harness.core.mcp.entries import Entry, digest_of, entry_of, require_name
from wardwright.harness.core.mcp.lock import Accepted, Lock, pin_of
from wardwright.harness.core.mcp.scan import Finding, scan
from wardwright.harness.core.mcp.served import functions
from wardwright.harness.mcp.extra import require_sdk
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime import servers
from wardwright.runtime.servers import Declared, Unreached, declared_in
from wardwright.runtime.settings import SERVERS_FILE
from wardwright.runtime.tools import installed

Status: TypeAlias = Literal["ok", "pinned", "drift", "unpinned", "suspect", "unreachable"]

_EXITS: Final[dict[Status, Exit]] = {
    "ok": Exit.OK,
    "pinned": Exit.OK,
    "drift": Exit.INTEGRITY,
    "unpinned": Exit.PENDING,
    "suspect": Exit.DENIED,
    "unreachable": Exit.PENDING,
}
_WORST: Final = (Exit.INTEGRITY, Exit.DENIED, Exit.PENDING, Exit.OK)

FOLDER: Final = Path()


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of looking at one server."""

    server: str
    status: Status
    tools: int = 0
    """That it offers now."""
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Those that nobody accepted."""
    why: str | None = None


class LookedAll(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` says."""

    data: tuple[Looked, ...]


folder_option: Final = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=FOLDER,
    help=f"The folder of contracts in which `{SERVERS_FILE}` stands.  [default: the current one]",
)
accept_option: Final = click.option(
    "--accept", "accepted", multiple=True, metavar="FINDING=REASON", help="Let a finding pass, and write down why."
)
timeout_option: Final = click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(1, 600),
    default=30,
    show_default=True,
    help="Seconds that a server has to start and to list its tools.",
)


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.option("--url", help="Where the server listens, in the place of a command.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set for the command; repeatable.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Sent to the address; repeatable.")
@click.option("--trust-annotations", is_flag=True, help="Take a tool that its server calls read-only as one.")
@accept_option
@timeout_option
@folder_option
@json_option
def add(
    name: str,
    command: tuple[str, ...],
    url: str | None,
    variables: tuple[str, ...],
    headers: tuple[str, ...],
    trust_annotations: bool,
    accepted: tuple[str, ...],
    timeout_s: int,
    folder: Path,
    out: Output,
) -> Exit:
    """Take in a server: look at all that it offers, search it, pin it.

    Credentials are written `env:NAME` or `file:PATH`. What the search finds refuses the pin, with exit 3, until each
    finding is accepted with a reason.
    """
    require_name(name)
    declared = declared_in(folder)
    if name in declared.entries:
        message = f"there is a server `{name}` already"
        raise WardwrightError("usage", message, hint=f"`wardwright mcp verify {name}` looks at it again")
    _require_no_family(name)
    members: dict[str, object] = {}
    if command:
        members |= {"command": command[0], "args": list(command[1:])}
    if url is not None:
        members["url"] = url
    if variables:
        members["env"] = dict(_pair(one) for one in variables)
    if headers:
        members["headers"] = dict(_pair(one) for one in headers)
    entry = entry_of(name, members, str(folder / SERVERS_FILE))
    require_sdk()
    found = asyncio.run(servers.look(entry, folder=folder, environment=os.environ, timeout_s=timeout_s))
    looked, kept = _pinned(declared, name, entry, found, _reasons(accepted), trust_annotations)
    if kept is not None:
        servers.write(folder, name, entry, kept)
    out.answer(looked, lambda: _lines(looked))
    _hint(looked, out)
    return _EXITS[looked.status]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--pin", is_flag=True, help="Take what they offer now.")
@click.option("--trust-annotations/--no-trust-annotations", default=None, help="With --pin: as for `add`.")
@accept_option
@timeout_option
@folder_option
@json_option
def verify(
    names: tuple[str, ...],
    pin: bool,
    trust_annotations: bool | None,
    accepted: tuple[str, ...],
    timeout_s: int,
    folder: Path,
    out: Output,
) -> Exit:
    """Compare what servers offer with what was pinned.

    Exit 0 they agree, 5 some server offers something else, 2 one cannot be reached or has no pin, 3 the search finds
    something that nobody accepted.
    """
    declared = declared_in(folder)
    for name in names:
        if name not in declared.entries:
            message = f"no server is named `{name}`"
            raise WardwrightError("usage", message, hint=f"servers here: {', '.join(declared.entries) or 'none'}")
    require_sdk()
    reasons = _reasons(accepted)
    every: list[Looked] = []
    for name in names or tuple(declared.entries):
        looked, found = _verified(declared, name, timeout_s)
        if pin and found is not None:
            before = declared.lock.servers.get(name)
            trusted = trust_annotations
            if trusted is None:
                trusted = before is not None and before.trust_annotations
            again, kept = _pinned(declared, name, declared.entries[name], found, reasons, trusted)
            looked = msgspec.structs.replace(again, changes=looked.changes)
            if kept is not None:
                declared = msgspec.structs.replace(declared, lock=kept)
                servers.write_lock(folder, kept)
        every.append(looked)
    if not every and not out.as_json:
        out.note("no server was added yet; `wardwright mcp add` takes one in")
    out.answer(LookedAll(data=tuple(every)), lambda: (line for looked in every for line in _lines(looked)))
    for looked in every:
        _hint(looked, out)
    ends = {_EXITS[looked.status] for looked in every} or {Exit.OK}
    return next(one for one in _WORST if one in ends)


@click.command()
@click.argument("name", metavar="NAME")
@folder_option
@json_option
def remove(name: str, folder: Path, out: Output) -> None:
    """Take a server and its pin out."""
    declared = declared_in(folder)
    if name not in declared.entries:
        hint = f"servers here: {', '.join(declared.entries) or 'none'}"
        raise WardwrightError("usage", f"no server is named `{name[:40]}`", hint=hint)
    servers.write(folder, name, None, declared.lock.without(name))
    out.answer({"server": name, "status": "removed"}, [f"{name} is removed"])


# Looking


def _verified(declared: Declared, name: str, timeout_s: int) -> tuple[Looked, Definitions | None]:
    """How a server stands, and what it offers where that could be heard."""
    entry = declared.entries[name]
    try:
        found = asyncio.run(servers.look(entry, folder=declared.folder, environment=os.environ, timeout_s=timeout_s))
    except WardwrightError as error:
        if error.code == "extra_missing":
            raise
        return Looked(server=name, status="unreachable", why=error.message), None
    try:
        pin = declared.require_pin(name)
    except WardwrightError as error:
        return Looked(server=name, status="unpinned", tools=len(found), why=error.message), found
    different = changes(pin.definitions, found)
    if different:
        return Looked(server=name, status="drift", tools=len(found), changes=different), found
    passed = {one.finding for one in pin.accepted}
    findings = tuple(one for one in _scanned(declared, name, found) if one.id not in passed)
    return Looked(server=name, status="suspect" if findings else "ok", tools=len(found), findings=findings), found


def _pinned(
    declared: Declared, name: str, entry: Entry, found: Definitions, reasons: Mapping[str, str], trusted: bool
) -> tuple[Looked, Lock | None]:
    """The lock with this server in it; None where a finding refuses that."""
    functions(name, entry, found, trusted=trusted, peers=Unreached())  # what could not be served is not pinned
    findings = _scanned(declared, name, found)
    unknown = [one for one in reasons if one not in {finding.id for finding in findings}]
    if unknown:
        hint = "a finding holds for the very text it was found in; run it without `--accept` to see them"
        raise WardwrightError("usage", f"nothing was found that is called `{unknown[0][:80]}`", hint=hint)
    before = declared.lock.servers.get(name)
    earlier = {one.finding: one.reason for one in (() if before is None else before.accepted)}
    known = {**earlier, **reasons}
    left = tuple(one for one in findings if one.id not in known)
    if left:
        return Looked(server=name, status="suspect", tools=len(found), findings=left), None
    accepted = tuple(Accepted(finding=one.id, reason=known[one.id]) for one in findings)
    pin = pin_of(digest_of(entry), found, trust_annotations=trusted, accepted=accepted)
    looked = Looked(server=name, status="pinned", tools=len(found))
    return looked, declared.lock.with_server(name, pin)


def _scanned(declared: Declared, name: str, found: Definitions) -> tuple[Finding, ...]:
    others = {one: pin.definitions for one, pin in declared.lock.servers.items() if one in declared.entries}
    return scan({**others, name: found}, installed()[0].names, about=name)


def _require_no_family(name: str) -> None:
    for tool in installed()[0].names:
        if tool.partition(".")[0] == name:
            message = f"`{name}` is a family of tools that there is already: `{tool}`"
            raise WardwrightError("usage", message, hint=f"call it `{name}-server`, or otherwise")


# Words


def _lines(looked: Looked) -> Iterator[str]:
    told = {
        "ok": "agrees with its pin",
        "pinned": "what it offers is pinned",
        "drift": "offers other tools than were pinned",
        "unpinned": looked.why or "",
        "suspect": "needs a look",
        "unreachable": looked.why or "",
    }[looked.status]
    count = "" if looked.status == "unreachable" else f", {looked.tools} tools"
    yield f"{looked.server}: {looked.status}{count}: {told}"
    for change in looked.changes:
        yield f"  {change.what} {shown(change.tool)}"
        yield from (f"    {line}" for line in change.lines)
    for finding in looked.findings:
        yield f"  {finding.id}"
        yield f"    {finding.says}, in {', '.join(map(shown, finding.tools))}"
        yield f"    {finding.excerpt}"


def _hint(looked: Looked, out: Output) -> None:
    if out.as_json:
        return
    match looked.status:
        case "suspect":
            out.note(
                "nothing was pinned; accept each finding with `--accept 'FINDING=REASON'`, or leave the server out"
            )
        case "drift":
            out.note("its tools are refused; `--pin` takes what it offers now")
        case "unpinned":
            out.note("`--pin` pins it")
        case _:
            pass


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise WardwrightError("usage", f"`{text[:20]}` is no NAME=VALUE")
    return name, value


def _reasons(accepted: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in accepted:
        finding, equals, reason = one.partition("=")
        if not equals or not 0 < len(reason.strip()) <= 400:
            message = "`--accept` takes a finding and a reason of at most 400 characters"
            raise WardwrightError("usage", message, hint="write `--accept 'FINDING=we read it: …'`")
        found[finding] = reason.strip()
    return found
