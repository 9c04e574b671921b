"""YAML 1.2 -> located trees, from the event streams of ruamel.yaml.

Rule 1: scalars mean what the core schema says, decided here: `yes`, `on` and `12:30` are text.
Rule 2: one document says one thing in one place: no anchors, aliases, tags, merge keys, directives or repeated keys.
Rule 3: nesting is bounded before it is followed.
Rule 4: two parsers, one reading. The C parser is fifteen times as fast but knows less of 1.2 (no `[env:KEY]`): what it
refuses, and text with line breaks that it sees and 1.2 does not, goes to the Python parser, whose word is the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from wardwright.contracts.refusal import ContractErrors, syntax_error
from wardwright.contracts.tree import Entry, Items, Lines, Scalar, Spot, Table, Tree, number

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_RADIX: Final = re.compile(r"0o[0-7]{1,16}|0x[0-9a-fA-F]{1,12}")
_NOT_A_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_OLD_BREAKS: Final = re.compile("[\x85\u2028\u2029]")
"""Line breaks of YAML 1.1 that 1.2 takes for text."""

_TAB: Final = "YAML indents with spaces; replace the tab"
_HINTS: Final = (
    ("mapping values are not allowed", "put quotes around a value that holds `: `, or check the indentation"),
    ("could not find expected ':'", "a key needs `: ` after it; text over several lines needs `|` after its key"),
    ("expected <block end>", "check the indentation: members of one mapping begin in one column"),
    ("expected ',' or", "check the indentation and the brackets: members of one mapping begin in one column"),
    ("cannot start any token", "put quotes around a value that begins with a sign that YAML uses itself"),
    ("unexpected end of stream", "a quote is left open"),
)


def read(text: str, file: str, depth_max: int) -> tuple[Tree, ...]:
    """Every document of a stream that holds anything. Raises ContractErrors (`contract_syntax`)."""
    if match := _UNPRINTABLE.search(text):
        at = Lines(text).spot(match.start())
        raise syntax_error(file, at, f"the character U+{ord(match.group()):04X} has no place in YAML", "remove it")
    if not _OLD_BREAKS.search(text):
        try:
            return read_fast(text, file, depth_max)
        except MarkedYAMLError:
            pass  # the other may read it, and words what is wrong
    try:
        return read_slow(text, file, depth_max)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Spot(1, 1) if mark is None else Spot(mark.line + 1, mark.column + 1)
        problem = error.problem or error.context or "not YAML"
        raise syntax_error(file, at, f"this is not YAML: {problem}", _hint(problem, text, at)) from error


def read_fast(text: str, file: str, depth_max: int) -> tuple[Tree, ...]:
    """As the C parser reads it. Raises MarkedYAMLError too."""
    return _Reader(file, depth_max).documents(_fast_events(text))


def read_slow(text: str, file: str, depth_max: int) -> tuple[Tree, ...]:
    """As the Python parser reads it. Raises MarkedYAMLError too."""
    return _Reader(file, depth_max).documents(YAML(typ="safe", pure=True).parse(text))


def _fast_events(text: str) -> Iterator[Event]:
    parser = CParser(text)
    while parser.check_event():
        yield parser.get_event()


def _hint(problem: str, text: str, at: Spot) -> str | None:
    lines = text.split("\n")
    if at.line <= len(lines) and lines[at.line - 1][at.column - 1 : at.column] == "\t":
        return _TAB
    return next((hint for sign, hint in _HINTS if sign in problem), None)


class _Reader:
    def __init__(self, file: str, depth_max: int) -> None:
        self._file = file
        self._depth_max = depth_max

    def documents(self, events: Iterator[Event]) -> tuple[Tree, ...]:
        found: list[Tree] = []
        for event in events:
            match event:
                case DocumentStartEvent():
                    if event.version is not None or event.tags:
                        raise syntax_error(
                            self._file, _at(event), "directives are not read here", "remove the `%` line"
                        )
                case AliasEvent() | ScalarEvent() | SequenceStartEvent() | MappingStartEvent():
                    tree = self._tree(event, events, 1)
                    if not (isinstance(tree, Scalar) and tree.value is None):
                        found.append(tree)
                case _:
                    continue
        return tuple(found)

    def _tree(self, event: Event, events: Iterator[Event], depth: int) -> Tree:
        at = _at(event)
        if depth > self._depth_max:
            raise self._wrong(event, f"the document nests deeper than {self._depth_max} levels")
        if isinstance(event, AliasEvent):
            raise self._wrong(event, "aliases are not read here", f"write out what `*{event.anchor}` stands for")
        if anchor := getattr(event, "anchor", None):
            raise self._wrong(event, "anchors are not read here", f"remove `&{anchor}`")
        if tag := getattr(event, "tag", None):
            raise self._wrong(event, "tags are not read here", f"remove `{tag}`")
        match event:
            case ScalarEvent():
                return self._scalar(event, at)
            case SequenceStartEvent():
                return Items(tuple(self._items(events, depth)), at)
            case MappingStartEvent():
                return Table(self._entries(events, depth), at)
            case _:
                raise AssertionError(f"no value begins with {event!r}")

    def _items(self, events: Iterator[Event], depth: int) -> Iterator[Tree]:
        for event in events:
            if isinstance(event, SequenceEndEvent):
                return
            yield self._tree(event, events, depth + 1)

    def _entries(self, events: Iterator[Event], depth: int) -> tuple[Entry, ...]:
        entries: dict[str, Entry] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            at = _at(event)
            key = self._tree(event, events, depth + 1)
            if not (isinstance(event, ScalarEvent) and isinstance(key, Scalar)):
                raise self._wrong(event, "a key must be a word, not a list or mapping")
            name = self._characters(event)
            if name == "<<" and not event.style:
                raise self._wrong(event, "merge keys (`<<`) are not read here", "write the members out")
            if name in entries:
                first = entries[name].key_at.line
                raise syntax_error(
                    self._file, at, f"`{name}` stands twice: first on line {first}", "remove one of them"
                )
            entries[name] = Entry(name, at, self._tree(next(events), events, depth + 1))
        return tuple(entries.values())

    def _characters(self, event: ScalarEvent) -> str:
        """The text of a scalar, with the pairs of surrogates joined by which JSON escapes what lies past U+FFFF."""
        text = str(event.value)
        if not _SURROGATE.search(text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._wrong(event, "a lone surrogate is not a character") from None

    def _wrong(self, event: Event, message: str, hint: str | None = None) -> ContractErrors:
        return syntax_error(self._file, _at(event), message, hint)

    def _scalar(self, event: ScalarEvent, at: Spot) -> Scalar:
        text = self._characters(event)
        if event.style:
            return Scalar(text, "text", at)
        if text in _NULL:
            return Scalar(None, "null", at)
        if text in _BOOLEAN:
            return Scalar(_BOOLEAN[text], "boolean", at)
        if _NUMBER.fullmatch(text):
            return number(text, at)
        if _RADIX.fullmatch(text):
            return Scalar(int(text[2:], 8 if text[1] == "o" else 16), "integer", at)
        if _NOT_A_NUMBER.fullmatch(text):
            return Scalar(text, "decimal", at)
        return Scalar(text, "text", at)


def _at(event: Event) -> Spot:
    mark = event.start_mark
    return Spot(mark.line + 1, mark.column + 1)
