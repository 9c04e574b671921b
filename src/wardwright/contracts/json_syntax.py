"""JSON (RFC 8259, nothing more) -> a located tree.

Rule 1: no comments, no trailing commas, no NaN, no repeated keys, no lone surrogates.
Rule 2: nesting is bounded before it is followed.
"""

from __future__ import annotations

import json
import re
from typing import Final

from wardwright.contracts.refusal import ContractErrors, syntax_error
from wardwright.contracts.tree import Entry, Items, Lines, Scalar, Spot, Table, Tree, number

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9.eE+-])")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_WORDS: Final = {"true": True, "false": False, "null": None}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def read(text: str, file: str, depth_max: int) -> Tree:
    """The one value of a JSON text. Raises ContractErrors (`contract_syntax`)."""
    reader = _Reader(text, file, depth_max)
    tree = reader.value(1)
    reader.skip_space()
    if reader.offset < len(text):
        raise reader.wrong("something follows the end of the JSON value", "one JSON file holds one document")
    return tree


class _Reader:
    def __init__(self, text: str, file: str, depth_max: int) -> None:
        self._text = text
        self._file = file
        self._depth_max = depth_max
        self._lines = Lines(text)
        self.offset = 0

    def wrong(self, message: str, hint: str | None = None, at: Spot | None = None) -> ContractErrors:
        return syntax_error(self._file, at or self._lines.spot(self.offset), message, hint)

    def skip_space(self) -> None:
        match = _SPACE.match(self._text, self.offset)
        assert match is not None  # the pattern matches the empty text
        self.offset = match.end()

    def value(self, depth: int) -> Tree:
        self.skip_space()
        at = self._lines.spot(self.offset)
        if depth > self._depth_max:
            raise self.wrong(f"the document nests deeper than {self._depth_max} levels")
        sign = self._text[self.offset : self.offset + 1]
        if sign == "{":
            return self._table(at, depth)
        if sign == "[":
            return self._list(at, depth)
        if sign == '"':
            return Scalar(self._string(), "text", at)
        if match := _NUMBER.match(self._text, self.offset):
            self.offset = match.end()
            return number(match.group(), at)
        if match := _WORD.match(self._text, self.offset):
            if match.group() in _WORDS:
                self.offset = match.end()
                word = _WORDS[match.group()]
                return Scalar(word, "null" if word is None else "boolean", at)
            raise self.wrong(f"`{match.group()[:20]}` is not JSON", "text stands in double quotes")
        raise self._unexpected("a value")

    def _table(self, at: Spot, depth: int) -> Table:
        self.offset += 1
        entries: dict[str, Entry] = {}
        if self._closes("}"):
            return Table((), at)
        while True:
            self.skip_space()
            key_at = self._lines.spot(self.offset)
            if self._text[self.offset : self.offset + 1] != '"':
                raise self._unexpected("a key in double quotes")
            key = self._string()
            if key in entries:
                first = entries[key].key_at.line
                raise self.wrong(f"`{key}` stands twice: first on line {first}", "remove one of them", key_at)
            self.skip_space()
            if self._text[self.offset : self.offset + 1] != ":":
                raise self._unexpected("`:` after a key")
            self.offset += 1
            entries[key] = Entry(key, key_at, self.value(depth + 1))
            if self._closes("}"):
                return Table(tuple(entries.values()), at)
            self._comma("}")

    def _list(self, at: Spot, depth: int) -> Items:
        self.offset += 1
        items: list[Tree] = []
        if self._closes("]"):
            return Items((), at)
        while True:
            items.append(self.value(depth + 1))
            if self._closes("]"):
                return Items(tuple(items), at)
            self._comma("]")

    def _closes(self, sign: str) -> bool:
        self.skip_space()
        closes = self._text[self.offset : self.offset + 1] == sign
        self.offset += closes
        return closes

    def _comma(self, end: str) -> None:
        if self._text[self.offset : self.offset + 1] != ",":
            raise self._unexpected(f"`,` or `{end}`")
        self.offset += 1
        self.skip_space()
        if self._text[self.offset : self.offset + 1] == end:
            raise self.wrong(f"a comma stands before `{end}`", "remove the last comma")

    def _string(self) -> str:
        match = _STRING.match(self._text, self.offset)
        if match is None:
            raise self.wrong("this text has no end, or holds a bare control character or unknown escape")
        text: str = json.loads(match.group())
        if _SURROGATE.search(text):
            raise self.wrong("a lone surrogate is not a character")
        self.offset = match.end()
        return text

    def _unexpected(self, wanted: str) -> ContractErrors:
        sign = self._text[self.offset : self.offset + 1]
        if not sign:
            return self.wrong(f"the file ends where {wanted} was expected")
        hint = {"'": "JSON takes double quotes", "/": "JSON has no comments", "#": "JSON has no comments"}.get(sign)
        return self.wrong(f"{sign!r} stands where {wanted} was expected", hint)
