"""Patterns of rules: admitted once, matched by one engine.

Rule 1: RE2 admits a pattern, so that what it means is what a linear engine would find; `regex` matches it, in request
rules and in streams alike, with ASCII classes and `$` as the end of the text.
Rule 2: `regex` backtracks. A repetition whose body can be cut in several ways is refused; where a search is not plainly
short it runs under a timeout, and a search that timed out has no result.
Rule 3: a pattern's longest fixed text is looked for first: most texts do not hold it, and that is cheap to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec
import re2
import regex

PATTERN_CHARS_MAX: Final = 4096
TIMEOUT_S: Final = 0.02
"""How long one search may take."""

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_VARIABLE_MAX: Final = 4
"""Variable repetitions in a pattern that is searched without a timeout."""
_REPEAT_MAX: Final = 64
"""The largest count of a repetition in such a pattern."""
_LITERAL_MIN: Final = 3
"""Characters that make a fixed text worth looking for."""


class PatternRefused(Exception):
    """A pattern that may not be used: `reason` and, for its author, `fix`."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        self.reason = reason
        self.fix = fix
        super().__init__(reason)


class Pattern(msgspec.Struct, frozen=True):
    """An admitted pattern."""

    text: str
    """As the author wrote it."""
    source: str
    """As `regex` reads it."""
    ignore_case: bool
    short: bool
    """Every search takes a bounded number of steps per character."""
    literal: str
    """A text that every match holds, case folded where case is ignored; empty where there is none worth looking for."""
    bounded: bool
    """A match has a longest length."""
    wider: str
    """The pattern without the word edge it begins with, found wherever the pattern is, and sooner missed; or empty."""

    def compiled(self) -> regex.Pattern[str]:
        flags = regex.VERSION1 | regex.ASCII | (regex.IGNORECASE if self.ignore_case else 0)
        return regex.compile(self.source, flags)


def admit(text: str, *, ignore_case: bool = False) -> Pattern:
    """Raises PatternRefused."""
    if len(text) > PATTERN_CHARS_MAX:
        raise PatternRefused(f"a pattern has at most {PATTERN_CHARS_MAX:,} characters; this has {len(text):,}")
    _require_re2(text)
    body = _Scanner(text).alternatives()
    for branch in body:
        _require_unambiguous(branch)
    items = [item for branch in body for item in _all(branch)]
    folds = ignore_case or _FOLDS in text
    literal = _literal(body) if folds == ignore_case else ""
    pattern = Pattern(
        text=text,
        source=_translated(text),
        ignore_case=ignore_case,
        short=_is_short(items),
        literal=literal.casefold() if ignore_case else literal,
        bounded=all(item.high is not None for item in items),
        wider=_wider(text, body) if _is_short(items) else "",
    )
    try:
        pattern.compiled()
    except regex.error as error:
        raise PatternRefused(f"the pattern cannot be matched here: {error}") from error
    return pattern


def literal_pattern(text: str, *, ignore_case: bool = False) -> Pattern:
    """The pattern that finds this text and nothing else."""
    escaped = "".join(f"\\{char}" if char in _SPECIAL else char for char in text)
    return admit(escaped, ignore_case=ignore_case)


def searcher(pattern: Pattern) -> Callable[[str], regex.Match[str] | None]:
    """Searches a whole text. Raises TimeoutError where the search took too long."""
    search = pattern.compiled().search
    if not pattern.short:
        return lambda text: search(text, timeout=TIMEOUT_S)
    if not pattern.wider:
        return search
    flags = regex.VERSION1 | regex.ASCII | (regex.IGNORECASE if pattern.ignore_case else 0)
    wider = regex.compile(pattern.wider, flags).search
    return lambda text: None if wider(text) is None else search(text)


def sample(pattern: Pattern) -> str | None:
    """A text in which the pattern is found, where one can be made."""
    made = _sample(_Scanner(pattern.text).alternatives())
    search = searcher(pattern)
    if made is None:
        return None
    return next((text for text in (made, f" {made} ") if search(text) is not None), None)


# Admission

_HINTS: Final = (
    ("(?=", "look-around is not linear", "match the text around it too, or add a second condition under `all`"),
    ("(?!", "look-around is not linear", "match the text around it too, or add an exception under `unless`"),
    ("(?<=", "look-around is not linear", "match the text around it too"),
    ("(?<!", "look-around is not linear", "match the text around it too; `\\b` may be what you want"),
    ("(?>", "atomic groups are not linear", "write `(?:…)`"),
    ("(?P=", "back-references are not linear", "repeat what the group says"),
)
_FOLDS: Final = "(?i"
_BACKSLASH: Final = r"(?<!\\)(?:\\\\)*\\"
"""One that escapes what follows."""
_FOREIGN: Final = (
    (_BACKSLASH + r"[pP]", "classes are ASCII here", "spell the ranges, such as `[A-Za-zÀ-ÿ]`"),
    (_BACKSLASH + "Q", "`\\Q…\\E` is not read here", "escape each character, or use `contains`"),
    (_BACKSLASH + "C", "`\\C` matches half a character", "write `(?s:.)`"),
    (_BACKSLASH + r"x\{", "`\\x{…}` is not read here", "write the character itself, or `\\xHH`"),
    (r"\(\?[a-z]*U", "`(?U)` turns every repetition around", "write `*?` and `+?` where you mean them"),
)
"""What RE2 reads and `regex` reads otherwise."""


def _require_re2(text: str) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        for mark, reason, fix in _HINTS:
            if mark in text:
                raise PatternRefused(reason, fix) from None
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        if said.startswith("invalid escape") and any(f"\\{digit}" in text for digit in range(1, 10)):
            raise PatternRefused("back-references are not linear", "repeat what the group says") from None
        raise PatternRefused(f"this is no pattern: {said}", "patterns are written in RE2's syntax") from None
    for mark, reason, fix in _FOREIGN:
        if regex.search(mark, text) is not None:
            raise PatternRefused(reason, fix)


def _require_unambiguous(branch: list[_Item]) -> None:
    for item in branch:
        if item.kind == "group":
            for inner in item.branches:
                _require_unambiguous(inner)
            if item.high is None or item.high > _REPEAT_MAX:
                _require_one_cut(item)


def _require_one_cut(item: _Item) -> None:
    """The body of a long repetition must not be cut in several ways: matching would try them all."""
    for branch in item.branches:
        needed = [one for one in branch if one.low > 0 and one.kind != "place"]
        loops = [one for one in branch if one.high is None or (one.kind == "group" and _loops(one))]
        if not needed or (loops and len(needed) <= 1):
            reason = f"`{item.text}` repeats what repeats itself: matching it may take for ever"
            raise PatternRefused(reason, "repeat once, such as `[a-z ]+` for `(?:[a-z]+ ?)+`")
    starts = ["".join(one.text for one in branch) for branch in item.branches]
    for index, start in enumerate(starts):
        if any(other.startswith(start) for at, other in enumerate(starts) if at != index):
            reason = f"in `{item.text}` one alternative begins with another: matching it may take for ever"
            raise PatternRefused(reason, "leave out the longer one")


def _loops(item: _Item) -> bool:
    return any(inner.high is None for branch in item.branches for inner in _all(branch))


# Reading what RE2 admitted

_Kind: TypeAlias = Literal["char", "set", "group", "place"]


class _Item(msgspec.Struct):
    """One thing that may be repeated."""

    kind: _Kind
    text: str
    """As written, without its repetition."""
    branches: list[list[_Item]] = []
    low: int = 1
    high: int | None = 1


class _Scanner:
    """Reads a pattern that RE2 admitted, so without looking for mistakes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self) -> list[list[_Item]]:
        branches: list[list[_Item]] = [[]]
        while self._at < len(self._text) and self._text[self._at] != ")":
            if self._text[self._at] == "|":
                self._at += 1
                branches.append([])
            elif (item := self._item()) is not None:
                self._repeat(item)
                branches[-1].append(item)
        return branches

    def _item(self) -> _Item | None:
        start, char = self._at, self._text[self._at]
        match char:
            case "(":
                return self._group()
            case "[":
                self._at = _class_end(self._text, start)
                return _Item("set", self._text[start : self._at])
            case "\\":
                self._at += 2
                escaped = self._text[start + 1]
                if escaped in "bBAz":
                    return _Item("place", self._text[start : self._at])
                if escaped == "x":
                    self._at += 2
                kind: _Kind = "set" if escaped.isalnum() else "char"
                return _Item(kind, self._text[start : self._at])
            case "^" | "$":
                self._at += 1
                return _Item("place", char)
            case _:
                self._at += 1
                return _Item("set" if char == "." else "char", char)

    def _group(self) -> _Item | None:
        start = self._at
        self._at += 1
        if self._text.startswith("?", self._at):
            end = min(at for at in (self._text.find(mark, self._at) for mark in ":>)") if at >= 0)
            self._at = end + 1
            if self._text[end] == ")":
                return None  # flags for what follows
        branches = self.alternatives()
        self._at += 1
        return _Item("group", self._text[start : self._at], branches)

    def _repeat(self, item: _Item) -> None:
        char = self._text[self._at : self._at + 1]
        if char in ("*", "+", "?") and char:
            item.low, item.high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
            self._at += 1
        elif char == "{" and (bounds := regex.match(r"\{(\d+)(,?)(\d*)\}", self._text, pos=self._at)) is not None:
            item.low = int(bounds[1])
            item.high = item.low if not bounds[2] else int(bounds[3]) if bounds[3] else None
            self._at = bounds.end()
        else:
            return
        if self._text.startswith("?", self._at):
            self._at += 1


def _class_end(text: str, start: int) -> int:
    """Where the class that begins at `start` has ended."""
    at = start + 1
    at += text.startswith("^", at)
    at += text.startswith("]", at)
    while text[at] != "]":
        if text.startswith("[:", at) and ":]" in text[at:]:
            at = text.index(":]", at) + 2
        else:
            at += 2 if text[at] == "\\" else 1
    return at + 1


def _all(branch: list[_Item]) -> Iterator[_Item]:
    for item in branch:
        yield item
        for inner in item.branches:
            yield from _all(inner)


def _wider(text: str, body: list[list[_Item]]) -> str:
    """`regex` looks for an edge at every place before it looks for what follows: dear where that is a class."""
    edged = len(body) == 1 and len(body[0]) > 1 and body[0][0].text == "\\b" and text.startswith("\\b")
    return _translated(text[2:]) if edged and body[0][1].kind == "set" else ""


def _is_short(items: list[_Item]) -> bool:
    """Bounded work at each place: no loops, no repeated groups that vary, few choices of length."""
    variable = 0
    for item in items:
        if item.high is None or item.high > _REPEAT_MAX or (item.kind == "group" and item.high > 1):
            return False
        variable += item.low != item.high
    return variable <= _VARIABLE_MAX


def _literal(body: list[list[_Item]]) -> str:
    """The longest text that stands in every match."""
    if len(body) != 1:
        return ""
    runs, run = [""], ""
    for item in body[0]:
        if item.kind == "char" and item.low >= 1:
            run += item.text[-1]
            if item.high == 1:
                continue
        elif item.kind == "place":
            continue
        runs.append(run)
        run = ""
    longest = max([*runs, run], key=len)
    return longest if len(longest) >= _LITERAL_MIN else ""


def _sample(body: list[list[_Item]]) -> str | None:
    pieces: list[str] = []
    for item in body[0]:
        match item.kind:
            case "place":
                piece: str | None = ""
            case "char":
                piece = item.text[-1]
            case "group":
                piece = _sample(item.branches)
            case "set":
                inside = regex.compile(_translated(item.text), regex.VERSION1 | regex.ASCII)
                piece = next((char for char in _CANDIDATES if inside.fullmatch(char)), None)
        if piece is None:
            return None
        pieces.append(piece * max(item.low, 1 if item.high is None else item.low))
    return "".join(pieces)


_CANDIDATES: Final = "aA0 _-.\n" + "".join(map(chr, range(33, 127)))


def _translated(text: str) -> str:
    """RE2's spelling as `regex` spells the same."""
    multiline = regex.search(r"\(\?[a-z]*m", text) is not None
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "[":
            end = _class_end(text, at)
            out.append(_translated_class(text[at:end]))
            at = end
        elif char == "\\":
            pair = text[at : at + 2]
            out.append("\\Z" if pair == "\\z" else pair)
            at += 2
        else:
            out.append("\\Z" if char == "$" and not multiline else char)
            at += 1
    return "".join(out)


def _translated_class(text: str) -> str:
    """A class without the set operations that `regex` would read into it."""
    head = 2 if text.startswith("[^") else 1
    inner, at = text[:head], head
    while at < len(text) - 1:
        if text.startswith("[:", at) and ":]" in text[at:]:
            end = text.index(":]", at) + 2
            inner, at = inner + text[at:end], end
        elif text[at] == "\\":
            inner, at = inner + text[at : at + 2], at + 2
        else:
            doubled = (
                text[at] in "[&~|" or (text[at] == "-" and text[at + 1] == "-") or (text[at] == "]" and at == head)
            )
            inner, at = inner + ("\\" if doubled else "") + text[at], at + 1
    return inner + "]"
