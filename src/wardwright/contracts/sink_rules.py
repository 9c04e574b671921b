"""What the types of `contracts.sink` cannot say about sinks.

Rule 1: authors write a mapping from names to sinks; the typed value is a list by name, each with its name in it.
Rule 2: secrets are named, never written; an address holds none either.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from wardwright.contracts import secrets
from wardwright.contracts.provider_rules import address
from wardwright.contracts.refusal import did_you_mean
from wardwright.contracts.shapes import WRONG, At, Read, Reader
from wardwright.contracts.sink import JsonlSink, SinkSettings, WebhookSink
from wardwright.contracts.tree import Entry, Scalar, Table, Tree
from wardwright.contracts.wording import either, found, shown_key

SINKS_MAX: Final = 64
"""Sinks of one installation."""

KINDS: Final[dict[str, type[SinkSettings]]] = {"jsonl": JsonlSink, "webhook": WebhookSink}


def sinks(reader: Reader, tree: Tree, at: At) -> Read:
    """The member `sinks`: a mapping from names to sinks."""
    if not isinstance(tree, Table):
        return reader.invalid(tree, at, f"`{at.word}` maps names to sinks; here stands {found(tree)}")
    if len(tree.entries) > SINKS_MAX:
        return reader.invalid(tree, at, f"`{at.word}` has {len(tree.entries)} members; it may have {SINKS_MAX}")
    values = [_sink(reader, entry, at.member(shown_key(entry.key))) for entry in tree.entries]
    if any(value is WRONG for value in values):
        return WRONG
    return tuple(sorted(cast(list[SinkSettings], values), key=lambda sink: sink.name))


def _sink(reader: Reader, entry: Entry, at: At) -> Read:
    tree = entry.value
    if not isinstance(tree, Table):
        return reader.invalid(tree, at, f"a sink is a mapping of its members; here stands {found(tree)}")
    kind = tree.get("kind")
    if kind is None:
        return reader.invalid(tree, at, "a sink needs `kind`", f"add `kind: {next(iter(KINDS))}`")
    word = kind.value.value if isinstance(kind.value, Scalar) else None
    if not (isinstance(word, str) and word in KINDS):
        hint = did_you_mean(word, KINDS) if isinstance(word, str) else None
        message = f"`kind` is {either(list(KINDS))}; here stands {found(kind.value)}"
        return reader.invalid(kind.value, at.member("kind"), message, hint)
    named = Entry("name", entry.key_at, Scalar(entry.key, "text", entry.key_at))
    if (written := tree.get("name")) is not None:
        return reader.invalid(written.value, at.member("name"), "the name of a sink is its key", "remove `name`")
    members = tuple(one for one in tree.entries if one.key != "kind")
    return reader.members(KINDS[word], Table((*members, named), tree.at), at)


def url(reader: Reader, tree: Tree, at: At) -> Read:
    return address(reader, tree, at, ("http", "https"), "https://hooks.example/alerts")


def secret(reader: Reader, tree: Tree, at: At) -> Read:
    if isinstance(tree, Scalar) and tree.form == "text" and secrets.is_reference(str(tree.value)):
        return tree.value
    message = f"`{at.word}` names where the key of the signature lies"
    hint = "write `env:NAME` or `file:PATH`, and put the key there"
    return reader.refuse("contract_secret", message, reader.place(tree.at, at), hint)


def path(reader: Reader, tree: Tree, at: At) -> Read:
    text = tree.value if isinstance(tree, Scalar) and tree.form == "text" else None
    if isinstance(text, str) and text.strip() and text.isprintable() and not text.endswith("/"):
        return text
    return reader.invalid(tree, at, f"`{at.word}` is the path of a file; here stands {found(tree)}")


def check_webhook(reader: Reader, value: msgspec.Struct, at: At) -> None:
    sink = cast(WebhookSink, value)
    if sink.tls_ca_file is not None and not sink.url.startswith("https:"):
        reader.breaks(at.member("tls_ca_file"), "`tls_ca_file` means nothing to an `http:` address", "remove it")
