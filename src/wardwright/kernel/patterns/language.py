"""The language of patterns: a closed, linear part of RE2's syntax, read into a tree.

Rule 1: what a pattern means is defined here. The automaton and the source for `regex` are both made from the tree, so
they cannot read a pattern differently.
Rule 2: nothing is guessed. What the language lacks (look-around, back-references, possessive loops, Unicode classes)
is refused with the reason and what to write instead.
Rule 3: classes are ASCII, as in RE2: `\\d` is `[0-9]`, `\\w` is `[0-9A-Za-z_]`, `\\s` is `[\\t\\n\\f\\r ]`. `$` is the
end of the text, never the place before a last newline.

`(?i)` folds ASCII letters, and other letters that have exactly one partner.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, assert_never

import msgspec

CODE_POINT_MAX: Final = 0x10FFFF
REPEAT_MAX: Final = 1000
"""The largest count in braces, as in RE2."""
DEPTH_MAX: Final = 100
"""How deep groups may nest."""

Range: TypeAlias = tuple[int, int]
"""First and last code point."""


class Chars(msgspec.Struct, frozen=True):
    """One character of a set. Ranges are sorted and do not touch."""

    ranges: tuple[Range, ...]

    def holds(self, char: str) -> bool:
        point = ord(char)
        return any(low <= point <= high for low, high in self.ranges)


Condition: TypeAlias = Literal["edge", "no_edge", "text_start", "text_end", "line_start", "line_end"]
"""What may be asked about a place between two characters; an edge lies between a word character and none."""


class Look(msgspec.Struct, frozen=True):
    """A place rather than a character: `\\b`, `\\B`, `^`, `$`."""

    condition: Condition


class Sequence(msgspec.Struct, frozen=True):
    """One after another; empty: nothing."""

    items: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    """One of several, the first that leads on."""

    options: tuple[Node, ...]


class Repeat(msgspec.Struct, frozen=True):
    """The same, several times."""

    item: Node
    least: int
    most: int | None
    """None: without bound."""
    lazy: bool


Node: TypeAlias = Chars | Look | Sequence | Choice | Repeat


class PatternProblem(Exception):
    """Why a pattern is refused: the reason, what to write instead, and where (an index into its text)."""

    def __init__(self, reason: str, fix: str, at: int | None = None) -> None:
        self.reason = reason
        self.fix = fix
        self.at = at
        super().__init__(reason if at is None else f"{reason} (character {at + 1})")


def parse(pattern: str, *, ignore_case: bool = False) -> Node:
    """Read a pattern. Raises PatternProblem.

    >>> parse("ab*")
    Sequence(items=(Chars(ranges=((97, 97),)), Repeat(item=Chars(ranges=((98, 98),)), least=0, most=None, lazy=False)))
    """
    return _Parser(pattern).whole(_Flags(ignore_case=ignore_case))


def literal(text: str, *, ignore_case: bool = False) -> Node:
    """The pattern that matches this text alone."""
    return Sequence(tuple(_folded(Chars(((ord(char), ord(char)),))) if ignore_case else _char(char) for char in text))


def union(ranges: list[Range]) -> Chars:
    """Any of the ranges, sorted and merged."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return Chars(tuple(merged))


def complement(chars: Chars) -> Chars:
    """Every character but these."""
    out: list[Range] = []
    start = 0
    for low, high in chars.ranges:
        if start < low:
            out.append((start, low - 1))
        start = high + 1
    if start <= CODE_POINT_MAX:
        out.append((start, CODE_POINT_MAX))
    return Chars(tuple(out))


def width(node: Node) -> tuple[int, int | None]:
    """The fewest and the most characters of a match; None: without bound."""
    match node:
        case Chars():
            return 1, 1
        case Look():
            return 0, 0
        case Sequence():
            parts = [width(item) for item in node.items]
            mosts = [most for _, most in parts if most is not None]
            return sum(least for least, _ in parts), sum(mosts) if len(mosts) == len(parts) else None
        case Choice():
            parts = [width(option) for option in node.options]
            mosts = [most for _, most in parts if most is not None]
            return min(least for least, _ in parts), max(mosts) if len(mosts) == len(parts) else None
        case Repeat():
            least, most = width(node.item)
            if most == 0:
                return 0, 0
            return least * node.least, None if most is None or node.most is None else most * node.most
        case _:
            assert_never(node)


def _char(char: str) -> Chars:
    return Chars(((ord(char), ord(char)),))


def _span(text: str) -> Chars:
    return union([(ord(text[at]), ord(text[at + 1])) for at in range(0, len(text), 2)])


WORD: Final = _span("09AZ__az")
_DIGIT: Final = _span("09")
_SPACE: Final = _span("\t\n\f\r  ")
_NEWLINE: Final = _char("\n")
_ANY: Final = complement(Chars(()))
_NOTHING: Final = Sequence(())

_CLASSES: Final = {
    "d": _DIGIT, "D": complement(_DIGIT),
    "w": WORD, "W": complement(WORD),
    "s": _SPACE, "S": complement(_SPACE),
}  # fmt: skip
_NAMED: Final = {
    "alnum": _span("09AZaz"), "alpha": _span("AZaz"), "ascii": _span("\0\x7f"), "blank": _span("\t\t  "),
    "cntrl": _span("\0\x1f\x7f\x7f"), "digit": _DIGIT, "graph": _span("!~"), "lower": _span("az"), "print": _span(" ~"),
    "punct": _span("!/:@[`{~"), "space": _span("\t\r  "), "upper": _span("AZ"), "word": WORD, "xdigit": _span("09AFaf"),
}  # fmt: skip
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LOOKS: Final[dict[str, Condition]] = {"b": "edge", "B": "no_edge", "A": "text_start", "z": "text_end"}

_BACK_REFERENCE: Final = ("back-references cannot be matched in linear time", "spell the alternatives")
_INSTEAD: Final = {
    "Z": ("`\\Z` is not in the language", "write `\\z` or `$`: the end of the text"),
    "p": ("Unicode classes are not in the language", "spell the ranges, such as `[A-Za-zÀ-ÖØ-öø-ÿ]`"),
    "P": ("Unicode classes are not in the language", "spell the ranges, such as `[^A-Za-z]`"),
    "Q": ("`\\Q…\\E` is not in the language", "use `contains` for fixed text, or escape each mark of it"),
    "C": ("`\\C` matches half a character", "write `(?s:.)` for any character"),
    "u": ("`\\u` is not in the language", "write `\\x{…}`, or the character itself"),
    "k": _BACK_REFERENCE,
}
_OTHER_GROUPS: Final = {
    **dict.fromkeys(
        ("=", "<="),
        (
            "look-around cannot be matched in linear time",
            "match the text around it too, or in a condition add a second one under `all`",
        ),
    ),
    **dict.fromkeys(
        ("!", "<!"),
        (
            "look-around cannot be matched in linear time",
            "match the text around it too, or add an exception under `unless`; `\\b` may be what you want",
        ),
    ),
    ">": ("atomic groups are not in the language", "write `(?:…)`: nothing goes back here"),
    "P=": _BACK_REFERENCE,
}
"""By what follows `(?`."""


class _Flags(msgspec.Struct, frozen=True):
    ignore_case: bool = False
    lines: bool = False
    """`^` and `$` stand at every line."""
    dot_all: bool = False


class _Parser:
    """Recursive descent, one method a level: choice, sequence, repeat, atom."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self, flags: _Flags) -> Node:
        node, _ = self._choice(flags)
        if self._at < len(self._pattern):
            raise PatternProblem("a `)` without its `(`", "escape it: `\\)`", self._at)
        return node

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _takes(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _choice(self, flags: _Flags) -> tuple[Node, _Flags]:
        options: list[Node] = []
        while True:
            option, flags = self._sequence(flags)
            options.append(option)
            if not self._takes("|"):
                return (options[0] if len(options) == 1 else Choice(tuple(options))), flags

    def _sequence(self, flags: _Flags) -> tuple[Node, _Flags]:
        items: list[Node] = []
        while (char := self._peek()) not in ("", "|", ")"):
            if char in "*+?":
                raise PatternProblem(f"`{char}` repeats nothing", f"escape it: `\\{char}`", self._at)
            if (changed := self._flag_switch(flags)) is not None:
                flags = changed
                continue
            items.append(self._repeat(self._atom(flags)))
        return (items[0] if len(items) == 1 else Sequence(tuple(items))), flags

    def _repeat(self, item: Node) -> Node:
        at = self._at
        bounds = self._bounds()
        if bounds is None:
            return item
        if isinstance(item, Look):
            raise PatternProblem("a place such as `\\b` cannot be repeated", "leave the repetition out", at)
        lazy = self._takes("?")
        if self._peek() == "+":
            raise PatternProblem("possessive loops are not in the language", "leave out the second `+`", self._at)
        if self._peek() in ("*", "?") or self._bounds() is not None:
            raise PatternProblem("a repetition of a repetition", "put the inner one into `(?:…)`", at)
        return Repeat(item, bounds[0], bounds[1], lazy)

    def _bounds(self) -> tuple[int, int | None] | None:
        for mark, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._takes(mark):
                return least, most
        if self._peek() != "{":
            return None
        end = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not _is_count(low) or (high and not _is_count(high)):
            return None  # a brace of the text, as in JSON
        fewest, most = int(low), (int(high) if high else None) if comma else int(low)
        if max(fewest, most or 0) > REPEAT_MAX:
            raise PatternProblem(
                f"more than {REPEAT_MAX} repetitions", "repeat without bound and lean on the cap", self._at
            )
        if most is not None and most < fewest:
            raise PatternProblem("a repetition that ends before it begins", f"write `{{{most},{fewest}}}`", self._at)
        self._at = end + 1
        return fewest, most

    def _atom(self, flags: _Flags) -> Node:
        char = self._peek()
        if char == "(":
            return self._group(flags)
        if char == "[":
            return self._class(flags)
        if char == "\\":
            return self._escape(flags)
        self._at += 1
        if char == ".":
            return _ANY if flags.dot_all else complement(_NEWLINE)
        if char == "^":
            return Look("line_start" if flags.lines else "text_start")
        if char == "$":
            return Look("line_end" if flags.lines else "text_end")
        return _folded(_char(char)) if flags.ignore_case else _char(char)

    def _flag_switch(self, flags: _Flags) -> _Flags | None:
        """`(?i)`: from here to the end of the group."""
        end = self._pattern.find(")", self._at)
        head = self._pattern[self._at : end]
        if end < 0 or not head.startswith("(?") or not head[2:] or head[2:].strip("imsU-"):
            return None
        changed = self._switched(head[2:], flags)
        self._at = end + 1
        return changed

    def _switched(self, letters: str, flags: _Flags) -> _Flags:
        on, _, off = letters.partition("-")
        if "U" in letters:
            raise PatternProblem("the flag `U` is not in the language", "write lazy loops: `*?`", self._at)

        def said(letter: str, before: bool) -> bool:
            return letter in on or (before and letter not in off)

        return _Flags(said("i", flags.ignore_case), said("m", flags.lines), said("s", flags.dot_all))

    def _group(self, flags: _Flags) -> Node:
        at = self._at
        self._at += 1
        if self._takes("?"):
            flags = self._group_kind(flags, at)
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise PatternProblem(f"groups nest deeper than {DEPTH_MAX}", "flatten the pattern", at)
        inner, _ = self._choice(flags)
        self._depth -= 1
        if not self._takes(")"):
            raise PatternProblem("a `(` without its `)`", "close it, or escape it: `\\(`", at)
        return inner

    def _group_kind(self, flags: _Flags, at: int) -> _Flags:
        if self._takes("P<") or (self._peek() == "<" and self._pattern[self._at + 1 : self._at + 2] not in ("=", "!")):
            self._takes("<")
            end = self._pattern.find(">", self._at)
            if end < 0 or not self._pattern[self._at : end].isidentifier():
                raise PatternProblem(
                    "a group's name is letters and digits", "write `(?:…)`: names mean nothing here", at
                )
            self._at = end + 1
            return flags
        rest = self._pattern[self._at :]
        for mark, instead in _OTHER_GROUPS.items():
            if rest.startswith(mark):
                raise PatternProblem(*instead, at)
        letters, colon, _ = rest.partition(":")
        if not colon or letters.strip("imsU-"):
            raise PatternProblem("a kind of group that is not in the language", "write `(?:…)`", at)
        self._at += len(letters) + 1
        return self._switched(letters, flags)

    def _escape(self, flags: _Flags) -> Node:
        at = self._at
        char = self._pattern[at + 1 : at + 2]
        if char in _CLASSES:
            self._at += 2
            return _CLASSES[char]
        if char in _LOOKS:
            self._at += 2
            return Look(_LOOKS[char])
        one = self._escaped_char()
        return _folded(_char(one)) if flags.ignore_case else _char(one)

    def _escaped_char(self) -> str:
        """One character after a backslash, in a class or outside."""
        at = self._at
        char = self._pattern[at + 1 : at + 2]
        self._at += 2
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            return self._hex(at)
        if char in _INSTEAD:
            raise PatternProblem(*_INSTEAD[char], at)
        if char.isdigit():
            raise PatternProblem(*_INSTEAD["k"], at)
        if not char:
            raise PatternProblem("a backslash at the end", "write `\\\\` for a backslash", at)
        if char.isalpha() or not char.isascii():
            raise PatternProblem(f"`\\{char}` means nothing", f"write `{char}`", at)
        return char

    def _hex(self, at: int) -> str:
        if self._takes("{"):
            end = self._pattern.find("}", self._at)
            digits, after = self._pattern[self._at : end], end + 1
        else:
            digits, after = self._pattern[self._at : self._at + 2], self._at + 2
        try:
            point = int(digits, 16) if len(digits) >= 2 or after > self._at + 2 else -1
        except ValueError:
            point = -1
        if not 0 <= point <= CODE_POINT_MAX or 0xD800 <= point <= 0xDFFF:
            raise PatternProblem("not a character's number", "write two hex digits, or `\\x{10FFFF}` at most", at)
        self._at = after
        return chr(point)

    def _class(self, flags: _Flags) -> Chars:
        at = self._at
        self._at += 1
        negated = self._takes("^")
        ranges: list[Range] = []
        first = True
        while first or self._peek() != "]":
            if not self._peek():
                raise PatternProblem("a `[` without its `]`", "close it, or escape it: `\\[`", at)
            ranges.extend(self._member(flags))
            first = False
        self._at += 1
        chars = complement(union(ranges)) if negated else union(ranges)
        if not chars.ranges:
            raise PatternProblem("a class that holds no character", "leave it out: nothing can match it", at)
        return chars

    def _member(self, flags: _Flags) -> tuple[Range, ...]:
        """One member of a class: a named class, a shorthand, a character or a range."""
        at = self._at
        if self._takes("[:"):
            end = self._pattern.find(":]", self._at)
            name = self._pattern[self._at : end] if end > 0 else ""
            named = _NAMED.get(name.removeprefix("^"))
            if named is None:
                raise PatternProblem(f"no class is named {name!r}", f"one of {', '.join(_NAMED)}", at)
            self._at = end + 2
            return (complement(named) if name.startswith("^") else named).ranges
        if (shorthand := _CLASSES.get(self._pattern[at + 1 : at + 2])) is not None and self._peek() == "\\":
            self._at += 2
            return shorthand.ranges
        low = self._class_char()
        if self._peek() != "-" or self._pattern[self._at + 1 : self._at + 2] in ("]", ""):
            return _folded(_char(low)).ranges if flags.ignore_case else _char(low).ranges
        self._at += 1
        high = self._class_char()
        if high < low:
            raise PatternProblem("a range that ends before it begins", f"write `{high}-{low}`", at)
        chars = Chars(((ord(low), ord(high)),))
        return _folded(chars).ranges if flags.ignore_case else chars.ranges

    def _class_char(self) -> str:
        if self._peek() == "\\":
            return self._escaped_char()
        char = self._peek()
        self._at += 1
        return char


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _folded(chars: Chars) -> Chars:
    """With the other case of each letter; a wide range beyond ASCII keeps its own letters."""
    more = list(chars.ranges)
    for low, high in chars.ranges:
        last = high if high - low < REPEAT_MAX else min(high, 0x7F)
        for point in range(low, last + 1):
            more += [(ord(other),) * 2 for other in (chr(point).lower(), chr(point).upper()) if len(other) == 1]
    return union(more)
