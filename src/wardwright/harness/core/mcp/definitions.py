"""What a server says of its tools, as values: one definition a tool, its digest, what differs between two lists.

Rule 1: everything that reaches a model takes part in the digest: name, title, description, schemas, annotations.
Rule 2: texts of strangers are shown with every character that could hide something written out.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from wardwright.harness.core.tool import JsonSchema
from wardwright.kernel import canonical

TOOLS_MAX: Final = 512
"""Tools of one server."""
NAME_CHARS_MAX: Final = 128
DEFINITIONS_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of all definitions of one server, as JSON."""
DIFF_LINES_MAX: Final = 40
"""Of one tool, that a person is shown."""


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One tool, as its server defines it. Members are spelled as the protocol spells them."""

    name: str
    title: str | None = None
    description: str = ""
    input_schema: JsonSchema
    output_schema: JsonSchema | None = None
    annotations: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """Of the canonical JSON."""
        return canonical.digest(self)

    def hint(self, name: str) -> bool:
        """Whether the server says of its tool that this hint holds, such as `readOnlyHint`."""
        return (self.annotations or {}).get(name) is True


Definitions: TypeAlias = tuple[Definition, ...]
"""A server's list, in its own order."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One tool that is not as it was."""

    tool: str
    what: Literal["added", "removed", "changed", "moved"]
    lines: tuple[str, ...] = ()
    """For people: `-` was, `+` is."""


def changes(pinned: Sequence[Definition], found: Sequence[Definition]) -> tuple[Change, ...]:
    """What differs, by name. The order of a list is part of it: a payload may be spread over neighbours."""
    before = {one.name: one for one in pinned}
    after = {one.name: one for one in found}
    made: list[Change] = []
    for name in sorted({*before, *after}):
        if name not in after:
            made.append(Change(tool=name, what="removed"))
        elif name not in before:
            made.append(Change(tool=name, what="added", lines=tuple(_lines(None, after[name]))))
        elif before[name].digest != after[name].digest:
            made.append(Change(tool=name, what="changed", lines=tuple(_lines(before[name], after[name]))))
    if not made and [one.name for one in pinned] != [one.name for one in found]:
        made.extend(
            Change(tool=one.name, what="moved") for was, one in zip(pinned, found, strict=True) if was.name != one.name
        )
    return tuple(made)


def _lines(before: Definition | None, after: Definition) -> Iterator[str]:
    old = [] if before is None else _written(before)
    told = difflib.unified_diff(old, _written(after), n=1, lineterm="")
    for number, line in enumerate(line for line in told if not line.startswith(("---", "+++"))):
        if number == DIFF_LINES_MAX:
            yield "…"
            return
        yield shown(line)


def _written(one: Definition) -> list[str]:
    return msgspec.json.format(canonical.encode(one), indent=2).decode().splitlines()


def shown(text: str, chars_max: int = 400) -> str:
    """A stranger's text for a terminal: what cannot be seen is written out.

    >>> shown("a\\u200bb")
    'a<U+200B>b'
    """
    out = "".join(char if _is_seen(char) else f"<U+{ord(char):04X}>" for char in text[:chars_max])
    return out + ("…" if len(text) > chars_max else "")


def _is_seen(char: str) -> bool:
    return char == " " or (unicodedata.category(char)[0] in "LMNPS" and not 0xFE00 <= ord(char) <= 0xFE0F)


def texts(one: Definition) -> Iterator[str]:
    """Every text in a definition, in its order, names of members too."""
    yield from (one.name, one.title or "", one.description)
    yield from _texts(one.input_schema)
    yield from _texts(one.output_schema)
    yield from _texts(one.annotations)


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for name, inside in value.items():
                yield str(name)
                yield from _texts(inside)
        case list() | tuple():
            for inside in value:
                yield from _texts(inside)


def unusable(found: Iterable[Definition]) -> str | None:
    """Why a list cannot be taken at all; None: it can."""
    every = tuple(found)
    if len(every) > TOOLS_MAX:
        return f"it lists more than {TOOLS_MAX} tools"
    seen: set[str] = set()
    for one in every:
        if not 0 < len(one.name) <= NAME_CHARS_MAX:
            return f"a name of a tool has 1 to {NAME_CHARS_MAX} characters"
        if one.name in seen:
            return f"it lists `{shown(one.name)}` twice"
        seen.add(one.name)
        if one.input_schema.get("type") != "object":
            return f"the arguments of `{shown(one.name)}` are no object"
        try:
            canonical.encode(one)
        except (UnicodeEncodeError, ValueError):
            return f"the definition of `{one.name!a}` is no text"
    if len(msgspec.json.encode(every)) > DEFINITIONS_BYTES_MAX:
        return f"its definitions have more than {DEFINITIONS_BYTES_MAX:,} bytes"
    return None
