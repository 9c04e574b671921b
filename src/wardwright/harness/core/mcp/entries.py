"""`mcp.json`: which servers there are, in the form that MCP clients share (`mcpServers`).

Rule 1: no credential stands in it: members of `env` and `headers` that hold one are `env:NAME` or `file:PATH`.
Rule 2: members of an entry that other clients keep there, such as `type`, are left alone and mean nothing here. What is
`disabled` for them is so for us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.secrets import carries_credential, is_reference, looks_like
from wardwright.kernel import canonical
from wardwright.kernel.errors import Place, WardwrightError

MEMBER: Final = "mcpServers"
SERVERS_MAX: Final = 64

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_FOREIGN: Final = frozenset({"type", "disabled", "description", "autoApprove", "alwaysAllow", "timeout"})
_OURS: Final = ("command", "args", "env", "url", "headers")


class Program(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="program"):
    """A server that is started here and spoken to over pipes."""

    command: Annotated[str, msgspec.Meta(min_length=1)]
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    """Set for it beside PATH, HOME and the language: of our own environment it sees nothing else."""


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="address"):
    """A server that listens somewhere."""

    url: str
    headers: Mapping[str, str] = {}


Entry: TypeAlias = Program | Address


def digest_of(entry: Entry) -> str:
    """What tells one server from another. References take part, what they lead to does not."""
    return canonical.digest(entry)


def written(entry: Entry) -> dict[str, Any]:
    """The entry as `mcp.json` holds it."""
    values: dict[str, Any] = msgspec.to_builtins(entry)
    values.pop("kind")
    return values


def require_name(name: str) -> None:
    """Raises `usage`."""
    if _NAME.fullmatch(name) is None:
        message = f"`{name[:40]}` is no name of a server: lower case letters, digits, `_` and `-`, at most 32"
        raise WardwrightError("usage", message)


def decode(data: bytes, file: str) -> dict[str, Entry]:
    """The servers of a file, by name. Raises `contract_syntax`, `contract_invalid`, `contract_unknown_key`,
    `contract_secret`."""
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError as cause:
        raise WardwrightError("contract_syntax", f"no JSON: {cause}", place=Place(file=file)) from cause
    servers = document.get(MEMBER) if isinstance(document, dict) else None
    if not isinstance(servers, dict):
        raise _refusal("contract_invalid", f"it holds an object `{MEMBER}`", file, None)
    if len(servers) > SERVERS_MAX:
        raise _refusal("contract_invalid", f"it names more than {SERVERS_MAX} servers", file, MEMBER)
    return {name: entry_of(name, value, file) for name, value in servers.items() if not _is_off(value)}


def _is_off(value: object) -> bool:
    return isinstance(value, dict) and value.get("disabled") is True


def entry_of(name: str, value: object, file: str) -> Entry:
    """One entry, judged."""
    path = f"{MEMBER}.{name}"
    if _NAME.fullmatch(name) is None:
        raise _refusal("contract_invalid", f"`{name[:40]}` is no name of a server", file, path)
    if not isinstance(value, dict):
        raise _refusal("contract_invalid", "an entry is an object", file, path)
    for key in value:
        if key not in _OURS and key not in _FOREIGN:
            hint = did_you_mean(key, _OURS)
            raise WardwrightError(
                "contract_unknown_key", f"an entry has no member `{key}`", place=Place(file=file, path=path), hint=hint
            )
    own = {key: one for key, one in value.items() if key in _OURS}
    if ("command" in own) == ("url" in own):
        raise _refusal("contract_invalid", "an entry has either `command` or `url`", file, path)
    cls: type[Program | Address] = Program if "command" in own else Address
    stray = [key for key in own if key not in cls.__struct_fields__]
    if stray:
        raise _refusal("contract_invalid", f"`{stray[0]}` does not go with this kind of server", file, path)
    try:
        entry = msgspec.convert(own, cls)
    except msgspec.ValidationError as cause:
        raise _refusal("contract_invalid", f"the entry is not as it must be: {cause}", file, path) from cause
    _require_sound(entry, file, path)
    return entry


def _require_sound(entry: Entry, file: str, path: str) -> None:
    match entry:
        case Program():
            given = [("args", str(index), text) for index, text in enumerate(entry.args)]
            given += [("env", name, text) for name, text in entry.env.items()]
        case Address():
            try:
                parts = urlsplit(entry.url)
                plain = (
                    parts.scheme in ("http", "https")
                    and bool(parts.hostname)
                    and not (parts.username or parts.password)
                )
                _ = parts.port
            except ValueError:
                plain = False
            if not plain:
                message = "`url` is `http://…` or `https://…`, without a user or password"
                raise _refusal("contract_invalid", message, file, f"{path}.url")
            given = [("headers", name, text) for name, text in entry.headers.items()]
    for member, name, text in given:
        if is_reference(text):
            continue
        if looks_like(text) is not None or (member != "args" and carries_credential(name)):
            raise WardwrightError(
                "contract_secret",
                f"`{member}.{name}` holds a credential",
                place=Place(file=file, path=f"{path}.{member}"),
                hint="write `env:NAME` or `file:PATH`",
            )


def _refusal(code: str, message: str, file: str, path: str | None) -> WardwrightError:
    return WardwrightError(code, message, place=Place(file=file, path=path))
