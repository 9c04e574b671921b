"""TOML -> a located tree: `tomllib` says what the file means, a locator of ours where each member stands.

The locator reads text that tomllib has accepted, so it needs no checks of its own: it walks headers, keys and values
and notes the offset of each path.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import Final, TypeAlias

from wardwright.contracts.refusal import syntax_error
from wardwright.contracts.tree import Entry, Items, Lines, Scalar, Spot, Table, Tree, number
from wardwright.kernel.canonical import INTEGER_MAX

_Path: TypeAlias = tuple[str | int, ...]

_WHERE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INLINE_BLANK: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASIC: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^'\n]*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL)
_OTHER: Final = re.compile(r"[^,\]}#\n]+")


class _Real(str):
    """The text of a float."""

    __slots__ = ()


def read(text: str, file: str, depth_max: int) -> Table:
    """The table of a TOML file. Raises ContractErrors (`contract_syntax`)."""
    text = text.replace("\r\n", "\n")
    try:
        document: dict[str, object] = tomllib.loads(text, parse_float=_Real)
    except RecursionError:
        raise syntax_error(file, Spot(1, 1), f"the document nests deeper than {depth_max} levels") from None
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(file, *_told(str(error), text)) from error
    except ValueError as error:
        raise syntax_error(file, Spot(1, 1), f"this is not TOML: {error}") from error
    if _deeper(document, depth_max):
        raise syntax_error(file, Spot(1, 1), f"the document nests deeper than {depth_max} levels")
    locator = _Locator(text)
    locator.document()
    return _Planter(locator, Lines(text)).table((), document)


def _told(problem: str, text: str) -> tuple[Spot, str]:
    """Where and what, from tomllib's sentence."""
    where = _WHERE.search(problem)
    message = "this is not TOML: " + _WHERE.sub("", problem)
    if where is None:
        return Spot(1, 1), message
    if where[1] is None:
        return Lines(text).spot(len(text)), message
    return Spot(int(where[1]), int(where[2])), message


def _deeper(value: object, depth_max: int) -> bool:
    layer: list[object] = [value]
    for _ in range(depth_max):
        layer = [
            item
            for holder in layer
            for item in (holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ())
        ]
        if not layer:
            return False
    return True


class _Locator:
    """Offsets of keys and values by path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._tables: dict[_Path, int] = {}
        """Arrays of tables, and how many tables each has so far."""
        self.keys: dict[_Path, int] = {}
        self.values: dict[_Path, int] = {}

    def document(self) -> None:
        base: _Path = ()
        self._skip(_BLANK)
        while self._offset < len(self._text):
            if self._text.startswith("[", self._offset):
                base = self._header()
            else:
                self._pair(base)
            self._skip(_BLANK)

    def _header(self) -> _Path:
        start = self._offset
        many = self._text.startswith("[[", start)
        self._offset += 2 if many else 1
        path: _Path = ()
        parts = self._key()
        for index, (part, at) in enumerate(parts):
            path = (*path, part)
            self._note(path, at, start)
            if many and index == len(parts) - 1:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
                self._note(path, at, start)
        self._skip(_INLINE_BLANK)
        self._offset += 2 if many else 1
        return path

    def _pair(self, base: _Path) -> None:
        path = base
        for part, at in self._key():
            path = (*path, part)
            self._note(path, at, at)
        self._skip(_INLINE_BLANK)
        self._offset += 1  # =
        self._skip(_INLINE_BLANK)
        self.values[path] = self._offset
        self._value(path)

    def _key(self) -> list[tuple[str, int]]:
        """A dotted key: its parts with their offsets."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_INLINE_BLANK)
            at = self._offset
            for pattern in (_BASIC, _LITERAL, _BARE_KEY):
                if match := pattern.match(self._text, at):
                    self._offset = match.end()
                    parts.append((_unquoted(match.group()), at))
                    break
            self._skip(_INLINE_BLANK)
            if not self._text.startswith(".", self._offset):
                return parts
            self._offset += 1

    def _value(self, path: _Path) -> None:
        if self._text.startswith("[", self._offset):
            self._array(path)
        elif self._text.startswith("{", self._offset):
            self._inline_table(path)
        else:
            for pattern in (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL, _OTHER):
                if match := pattern.match(self._text, self._offset):
                    self._offset = match.end()
                    return

    def _array(self, path: _Path) -> None:
        self._offset += 1
        index = 0
        self._skip(_BLANK)
        while not self._text.startswith("]", self._offset):
            self._note((*path, index), self._offset, self._offset)
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            if self._text.startswith(",", self._offset):
                self._offset += 1
                self._skip(_BLANK)
        self._offset += 1

    def _inline_table(self, path: _Path) -> None:
        self._offset += 1
        self._skip(_BLANK)
        while not self._text.startswith("}", self._offset):
            self._pair(path)
            self._skip(_BLANK)
            if self._text.startswith(",", self._offset):
                self._offset += 1
                self._skip(_BLANK)
        self._offset += 1

    def _note(self, path: _Path, key: int, value: int) -> None:
        """The first sight of a path counts: a table may be reopened by a later header."""
        self.keys.setdefault(path, key)
        self.values.setdefault(path, value)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self._text, self._offset):
            self._offset = match.end()


def _unquoted(key: str) -> str:
    """The key that a spelling stands for. tomllib itself reads the escapes."""
    if key[0] not in "\"'":
        return key
    return next(iter(tomllib.loads(f"{key} = 0")))


class _Planter:
    """tomllib's values with the locator's places."""

    def __init__(self, locator: _Locator, lines: Lines) -> None:
        self._locator = locator
        self._lines = lines

    def table(self, path: _Path, values: dict[str, object]) -> Table:
        entries = tuple(
            Entry(key, self._spot(self._locator.keys, (*path, key)), self._tree((*path, key), value))
            for key, value in values.items()
        )
        return Table(entries, self._spot(self._locator.values, path))

    def _tree(self, path: _Path, value: object) -> Tree:
        at = self._spot(self._locator.values, path)
        match value:
            case dict():
                return self.table(path, value)
            case list():
                return Items(tuple(self._tree((*path, index), item) for index, item in enumerate(value)), at)
            case bool():
                return Scalar(value, "boolean", at)
            case int():
                if -INTEGER_MAX <= value <= INTEGER_MAX:
                    return Scalar(value, "integer", at)
                return Scalar(str(value), "decimal", at)
            case _Real():
                return number(value.replace("_", ""), at)
            case str():
                return Scalar(value, "text", at)
            case datetime.datetime() | datetime.date() | datetime.time():
                return Scalar(value.isoformat(), "instant", at)
            case _:
                raise AssertionError(f"tomllib returned a {type(value).__name__}")

    def _spot(self, offsets: dict[_Path, int], path: _Path) -> Spot:
        return self._lines.spot(offsets.get(path, 0))
