"""What a document says and where: values with the place of each, the same for YAML, TOML and JSON.

A number with a fraction or an exponent is kept as the text that stands in the document: a float would forget whether
the author wrote `0.1` or `0.1000000000000000055`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, Literal, TypeAlias

import msgspec

from wardwright.kernel.canonical import INTEGER_MAX

Form: TypeAlias = Literal["text", "integer", "decimal", "boolean", "null", "instant"]
"""How a scalar was spelled. `instant` is a TOML date or time: no kind of contract has one."""

INTEGER_DIGITS_MAX: Final = 16
"""Longer integers are kept as text of form `decimal`: none of them is a whole number that JSON keeps."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")


class Spot(msgspec.Struct, frozen=True):
    """A position in a file."""

    line: int
    """1-based."""
    column: int
    """1-based, in characters."""


class Scalar(msgspec.Struct, frozen=True):
    value: str | int | bool | None
    form: Form
    at: Spot


class Items(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Tree, ...]
    at: Spot


class Entry(msgspec.Struct, frozen=True):
    """One key of a table and its value."""

    key: str
    key_at: Spot
    value: Tree


class Table(msgspec.Struct, frozen=True):
    """A mapping. No key stands twice."""

    entries: tuple[Entry, ...]
    at: Spot

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def without(self, key: str) -> Table:
        return Table(tuple(entry for entry in self.entries if entry.key != key), self.at)


Tree: TypeAlias = Scalar | Items | Table


def number(text: str, at: Spot) -> Scalar:
    """The scalar for the text of a decimal number.

    >>> number("0.10", Spot(1, 1)).value, number("12", Spot(1, 1)).value
    ('0.10', 12)
    """
    if _INTEGER.fullmatch(text) and len(text) <= INTEGER_DIGITS_MAX + 1:
        value = int(text)
        if -INTEGER_MAX <= value <= INTEGER_MAX:
            return Scalar(value, "integer", at)
    return Scalar(text, "decimal", at)


class Lines:
    """Turns offsets into a text into spots."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        self._starts.extend(match.end() for match in re.finditer("\n", text))

    def spot(self, offset: int) -> Spot:
        line = bisect_right(self._starts, offset)
        return Spot(line, offset - self._starts[line - 1] + 1)
