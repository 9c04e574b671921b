"""What the types of `contracts.provider` cannot say about one provider.

Rule 1: credentials are named, never written: `credential`, and headers that carry one, are `env:NAME` or `file:PATH`.
Rule 2: a member that the chosen transport would ignore is refused: silence about it would mislead.
"""

from __future__ import annotations

import re
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

import msgspec

from wardwright.contracts import secrets
from wardwright.contracts.provider import Breaker, Pool, Provider, Script, ScriptStep, ScriptToolCall, Timeouts
from wardwright.contracts.shapes import WRONG, At, Read, Reader, Rules
from wardwright.contracts.tree import Items, Scalar, Table, Tree
from wardwright.contracts.wording import found, shown, shown_key

FORMAT: Final = 1
"""The current format of provider documents."""

_NETWORK: Final = ("native", "httpx2")
_MEMBERS_OF: Final = {
    "base_url": _NETWORK,
    "credential": _NETWORK,
    "headers": _NETWORK,
    "tls_ca_file": _NETWORK,
    "proxy": ("httpx2",),
    "scripts": ("scripted",),
    "recordings": ("replay",),
}
"""Members that some transports alone read."""

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS: Final = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
    }
)
"""Headers that the transport writes itself."""

_USE_REFERENCE: Final = "write `env:NAME` or `file:PATH`, and put the credential there"


def _provider(reader: Reader, value: msgspec.Struct, at: At) -> None:
    provider = cast(Provider, value)
    if provider.format != FORMAT:
        hint = f"this build reads format {FORMAT}; leave `format` out"
        reader.breaks(at.member("format"), f"format {provider.format} of providers is unknown", hint)
    for member, transports in _MEMBERS_OF.items():
        if getattr(provider, member) and provider.transport not in transports:
            message = f"`{member}` means nothing to `transport: {provider.transport}`"
            reader.breaks(at.member(member), message, f"remove it, or use `transport: {transports[0]}`")
    if provider.transport in _NETWORK and provider.base_url is None:
        hint = "add `base_url: https://api.openai.com/v1`, or the address of your own server"
        reader.breaks(at, f"`transport: {provider.transport}` needs a `base_url`", hint)
    if provider.transport == "replay" and not provider.recordings:
        reader.breaks(at, "`transport: replay` needs `recordings`", "add `recordings: PATH`, a folder of exchanges")


def _base_url(reader: Reader, tree: Tree, at: At) -> Read:
    return address(reader, tree, at, ("http", "https"), "https://api.openai.com/v1")


def _proxy(reader: Reader, tree: Tree, at: At) -> Read:
    return address(reader, tree, at, ("http", "https"), "http://proxy.example:3128")


def address(reader: Reader, tree: Tree, at: At, schemes: tuple[str, ...], example: str) -> Read:
    """An absolute address without credentials, query or fragment."""
    if not (isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.form == "text"):
        return reader.invalid(tree, at, f"`{at.word}` is an address such as `{example}`; here stands {found(tree)}")
    text = tree.value
    parts = _split(text)
    if parts is not None and (parts.username is not None or parts.password is not None):
        hint = "remove `user:password@`; credentials belong in `credential`"
        return reader.refuse(
            "contract_secret", f"`{at.word}` holds a user name or password", reader.place(tree.at, at), hint
        )
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        return reader.invalid(tree, at, f"`{at.word}` is an address such as `{example}`; here stands {found(tree)}")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        return reader.invalid(tree, at, f"`{at.word}` ends with its path: no `?` and no `#`")
    return text.rstrip("/")


def _split(text: str) -> SplitResult | None:
    """The parts of an address that can be read, blanks and control characters refused."""
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        return parts if parts.port is None or 0 < parts.port < 65536 else None
    except ValueError:
        return None


def _credential(reader: Reader, tree: Tree, at: At) -> Read:
    if isinstance(tree, Scalar) and tree.form == "text" and secrets.is_reference(str(tree.value)):
        return tree.value
    if not isinstance(tree, Scalar):
        return reader.invalid(tree, at, f"`{at.word}` is `env:NAME` or `file:PATH`; here stands {found(tree)}")
    message = f"`{at.word}` does not name where the credential lies"
    return reader.refuse("contract_secret", message, reader.place(tree.at, at), _USE_REFERENCE)


def _headers(reader: Reader, tree: Tree, at: At) -> Read:
    """A mapping from names to values, or canonical pairs. Names become lower case, and stand sorted."""
    pairs = _pairs(tree)
    if pairs is None:
        return reader.invalid(tree, at, f"`{at.word}` maps names to values; here stands {found(tree)}")
    values: dict[str, str] = {}
    right = True
    for name_tree, value_tree, inside in pairs:
        name, value = name_tree.value, value_tree.value if isinstance(value_tree, Scalar) else None
        place = At("", f"{at.written}{inside}")
        if not (isinstance(name, str) and _HEADER.fullmatch(name)):
            reader.invalid(name_tree, place, f"{shown(str(name))} is not the name of a header")
        elif name.lower() in _OURS:
            reader.invalid(name_tree, place, f"`{name}` is written by the transport", "remove it")
        elif name.lower() in values:
            reader.invalid(
                name_tree, place, f"`{name}` stands twice: names of headers ignore case", "remove one of them"
            )
        elif not (isinstance(value, str) and isinstance(value_tree, Scalar) and value_tree.form == "text"):
            reader.invalid(value_tree, place, f"the value of a header is text; here stands {found(value_tree)}")
        elif not (value.isascii() and value.isprintable() and value.strip() == value):
            reader.invalid(value_tree, place, "the value of a header is printable ASCII without blanks around it")
        elif secrets.carries_credential(name) and not secrets.is_reference(value):
            message = f"the header `{name}` carries a credential, and its value does not name where that lies"
            reader.refuse("contract_secret", message, reader.place(value_tree.at, place), _USE_REFERENCE)
        else:
            values[name.lower()] = value
            continue
        right = False
    return tuple(sorted(values.items())) if right else WRONG


def _pairs(tree: Tree) -> list[tuple[Scalar, Tree, str]] | None:
    match tree:
        case Table():
            return [
                (Scalar(entry.key, "text", entry.key_at), entry.value, f".{shown_key(entry.key)}")
                for entry in tree.entries
            ]
        case Items():
            pairs: list[tuple[Scalar, Tree, str]] = []
            for index, item in enumerate(tree.items):
                match item:
                    case Items(items=(Scalar() as name, value)):
                        pairs.append((name, value, f"[{index}]"))
                    case _:
                        return None
            return pairs
        case Scalar():
            return None


def _timeouts(reader: Reader, value: msgspec.Struct, at: At) -> None:
    timeouts = cast(Timeouts, value)
    for member in ("connect_s", "first_byte_s", "between_bytes_s"):
        seconds = getattr(timeouts, member)
        if seconds > timeouts.total_s:
            message = f"`{member}` ({seconds} s) is longer than `total_s` ({timeouts.total_s} s), so it can never pass"
            reader.breaks(at.member(member), message, "raise `total_s`, or lower it")


def _step(reader: Reader, value: msgspec.Struct, at: At) -> None:
    step = cast(ScriptStep, value)
    if step.text is not None and step.chunks and "".join(step.chunks) != step.text:
        message = "`chunks` joined are not `text`, so whole and streamed answers would differ"
        reader.breaks(at.member("chunks"), message, "leave `text` out: it is then the chunks joined")
    for member in ("break_after_chunks", "stall_after_chunks"):
        if getattr(step, member) is not None and step.status >= 300:
            reader.breaks(
                at.member(member), f"`{member}` means nothing beside `status: {step.status}`", "remove one of them"
            )
    if step.break_after_chunks is not None and step.stall_after_chunks is not None:
        reader.breaks(at.member("stall_after_chunks"), "one answer either breaks or stalls", "remove one of them")


def _tool_call(reader: Reader, value: msgspec.Struct, at: At) -> None:
    if not cast(ScriptToolCall, value).name:
        reader.breaks(at.member("name"), "a tool call needs the name of its tool")


def _script(reader: Reader, value: msgspec.Struct, at: At) -> None:
    if not cast(Script, value).model:
        reader.breaks(at.member("model"), "a script needs the `model` that it plays")


RULES: Final = Rules(
    nouns={
        Provider: "a provider",
        Timeouts: "`timeouts`",
        Pool: "`pool`",
        Breaker: "`breaker`",
        Script: "a script",
        ScriptStep: "a step of a script",
        ScriptToolCall: "a tool call",
    },
    readers={},
    unions={},
    checks={
        Provider: _provider,
        Timeouts: _timeouts,
        Script: _script,
        ScriptStep: _step,
        ScriptToolCall: _tool_call,
    },
    members={
        (Provider, "base_url"): _base_url,
        (Provider, "proxy"): _proxy,
        (Provider, "credential"): _credential,
        (Provider, "headers"): _headers,
    },
    missing={},
    distinct={(Provider, "scripts"): ("script", "model")},
    sets=frozenset(),
)
"""How `kind: provider` documents are read."""
