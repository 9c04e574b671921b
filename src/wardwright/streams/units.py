"""Units of text that are released whole: sentences, lines, fenced code blocks, JSON values.

Rule 1: a tracker reads every character once, in order, and keeps a bounded tail; where the text was cut changes
nothing.
Rule 2: `begin` is where the unit that is still open begins: what lies before it is complete. A unit is complete only
when no later character could change that.
"""

from __future__ import annotations

import re
from typing import Final, Literal, Protocol, TypeAlias, assert_never

Unit: TypeAlias = Literal["sentence", "line", "code_block", "json_value"]

_SENTENCE_END: Final = re.compile(r"""[.!?…]["'”’)\]]{0,8}(?=\s)|[。！？]|\n""")
_SENTENCE_TAIL: Final = re.compile(r"""[.!?…]["'”’)\]]{0,8}\Z""")

_FENCE: Final = re.compile(r" {0,3}(```+|~~~+)")
_FENCE_TAIL: Final = re.compile(r"(?: {1,3}| {0,3}(?:`{1,2}|~{1,2}))\Z")
"""A line that may yet become a fence."""
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
LINE_CHARS_MAX: Final = 256
"""What is kept of a line, to tell a fence."""


class Tracker(Protocol):
    """Says where the open unit of a text begins."""

    begin: int

    def feed(self, text: str) -> None: ...


def tracker(unit: Unit) -> Tracker:
    match unit:
        case "sentence":
            return Sentences()
        case "line":
            return Lines()
        case "code_block":
            return CodeBlocks()
        case "json_value":
            return JsonValues()
        case _:
            assert_never(unit)


class Sentences:
    """A sentence ends with its mark where white space follows, and with a line."""

    __slots__ = ("_at", "_tail", "begin")

    def __init__(self) -> None:
        self.begin = 0
        self._at = 0
        self._tail = ""

    def feed(self, text: str) -> None:
        window, origin = self._tail + text, self._at - len(self._tail)
        for found in _SENTENCE_END.finditer(window):
            self.begin = origin + found.end()
        tail = _SENTENCE_TAIL.search(window)
        self._tail = "" if tail is None else tail.group()
        self._at += len(text)


class Lines:
    __slots__ = ("_at", "begin")

    def __init__(self) -> None:
        self.begin = 0
        self._at = 0

    def feed(self, text: str) -> None:
        newline = text.rfind("\n")
        if newline >= 0:
            self.begin = self._at + newline + 1
        self._at += len(text)


class CodeBlocks:
    """Between fences of Markdown; text outside them is complete as it comes."""

    __slots__ = ("_at", "_fence", "_line", "_line_at", "_opened", "begin")

    def __init__(self) -> None:
        self.begin = 0
        self._at = 0
        self._line = ""
        self._line_at = 0
        self._fence = ""
        """The fence that is open; empty outside."""
        self._opened = 0

    def feed(self, text: str) -> None:
        for piece in _LINE.findall(text):
            self._line += piece[: LINE_CHARS_MAX - len(self._line)]
            self._at += len(piece)
            if piece.endswith("\n"):
                self._end_line()
        if self._fence:
            self.begin = self._opened
        else:
            may_open = _FENCE.match(self._line) or _FENCE_TAIL.match(self._line)
            self.begin = self._line_at if may_open else self._at

    def _end_line(self) -> None:
        found = _FENCE.match(self._line)
        if found:
            mark, rest = found.group(1), self._line[found.end() :]
            if not self._fence:
                if "`" not in rest or mark[0] == "~":  # else it is code within a line
                    self._fence, self._opened = mark, self._line_at
            elif mark.startswith(self._fence) and not rest.strip():
                self._fence = ""
        self._line, self._line_at = "", self._at


class JsonValues:
    """Objects and arrays; text outside them is complete as it comes."""

    __slots__ = ("_at", "_depth", "_escaped", "_in_string", "_opened", "begin")

    def __init__(self) -> None:
        self.begin = 0
        self._at = 0
        self._depth = 0
        self._opened = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> None:
        for char in text:
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_string = False
            elif char in "{[":
                if self._depth == 0:
                    self._opened = self._at
                self._depth += 1
            elif self._depth:
                if char in "}]":
                    self._depth -= 1
                elif char == '"':
                    self._in_string = True
            self._at += 1
        self.begin = self._opened if self._depth else self._at
