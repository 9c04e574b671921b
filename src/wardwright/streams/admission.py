"""Patterns admitted to the stream: what is proved about them before any text is seen.

Rule 1: a pattern enters only if RE2 takes it too: no look-around, no back-references, a program of bounded size. It
then costs linear time, since the automaton judges every character and goes back to none.
Rule 2: `regex` is asked for the spans of rewrites alone. It tries ways in turn; where the pattern is not
*deterministic* that may take long, so it runs under MATCH_TIMEOUT_S.
Rule 3: a pattern that matches the empty text is refused: it would match everywhere.
"""

from __future__ import annotations

from typing import Final, assert_never

import msgspec
import re2
import regex

from wardwright.streams import pattern as p
from wardwright.streams.automaton import Positions, positions
from wardwright.streams.rule import Pattern, Phrase, Regex

PATTERN_CHARS_MAX: Final = 4096
RE2_BYTES_MAX: Final = 1 << 20
"""Of RE2's compiled program."""
MATCH_TIMEOUT_S: Final = 0.05
"""Of one search by `regex`."""

_re2_options = re2.Options()
_re2_options.log_errors = False
_re2_options.max_mem = RE2_BYTES_MAX


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern and what is known of it."""

    positions: Positions
    deterministic: bool
    """Proved: no character leaves two ways open."""
    chars_min: int
    chars_max: int | None
    """None: a match may be of any length."""
    midstream: str
    """For `regex`, where more text may follow: places that the next character decides do not hold at the end."""
    final: str
    """For `regex`, where the text is complete."""


def admit(pattern: Pattern) -> Admitted:
    """Raises PatternProblem, with the reason and what to write instead."""
    match pattern:
        case Phrase(text=text, ignore_case=ignore_case):
            if not text:
                raise p.PatternProblem("the text to look for is empty", "write what must not appear")
            _bounded(text)
            node = p.literal(text, ignore_case=ignore_case)
        case Regex(pattern=source):
            _bounded(source)
            node = p.parse(source)
            _ask_re2(source)
        case _:
            assert_never(pattern)
    placed = positions(node)
    if placed.nullable:
        raise p.PatternProblem(
            "it matches the empty text, so it would match everywhere", "ask for one character at least"
        )
    if not placed.last or not placed.first:
        raise p.PatternProblem(
            "nothing can match it: its places contradict each other", "look at its `^`, `$` and `\\b`"
        )
    least, most = width(node)
    return Admitted(
        positions=placed,
        deterministic=placed.deterministic,
        chars_min=least,
        chars_max=most,
        midstream=_source(node, final=False),
        final=_source(node, final=True),
    )


class Finder:
    """Finds the spans of one pattern, as `regex` prefers them: leftmost, then the first way that matches."""

    __slots__ = ("_final", "_midstream", "_timeout")

    def __init__(self, admitted: Admitted) -> None:
        self._midstream = regex.compile(admitted.midstream, regex.ASCII | regex.VERSION0)
        self._final = regex.compile(admitted.final, regex.ASCII | regex.VERSION0)
        self._timeout = None if admitted.deterministic else MATCH_TIMEOUT_S

    def find(self, text: str, start: int, *, final: bool) -> tuple[int, int] | None:
        """The first match that begins at `start` or later. Raises TimeoutError."""
        pattern = self._final if final else self._midstream
        if self._timeout is None:
            found = pattern.search(text, start)
        else:
            found = pattern.search(text, start, timeout=self._timeout)
        return None if found is None else found.span()


def width(node: p.Node) -> tuple[int, int | None]:
    """The fewest and the most characters of a match; None: without bound."""
    match node:
        case p.Chars():
            return 1, 1
        case p.Look():
            return 0, 0
        case p.Sequence():
            parts = [width(item) for item in node.items]
            mosts = [most for _, most in parts if most is not None]
            return sum(least for least, _ in parts), sum(mosts) if len(mosts) == len(parts) else None
        case p.Choice():
            parts = [width(option) for option in node.options]
            mosts = [most for _, most in parts if most is not None]
            return min(least for least, _ in parts), max(mosts) if len(mosts) == len(parts) else None
        case p.Repeat():
            least, most = width(node.item)
            if most == 0:
                return 0, 0
            return least * node.least, None if most is None or node.most is None else most * node.most
        case _:
            assert_never(node)


def _bounded(text: str) -> None:
    if len(text) > PATTERN_CHARS_MAX:
        raise p.PatternProblem(f"longer than {PATTERN_CHARS_MAX} characters", "split it into several rules")


def _ask_re2(source: str) -> None:
    try:
        re2.compile(source, _re2_options)
    except re2.error as error:
        said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise p.PatternProblem(f"RE2 does not take it: {said}", "write it in RE2's syntax") from error


_FINAL_LOOKS: Final[dict[p.Condition, str]] = {
    "edge": r"\b",
    "no_edge": r"\B",
    "text_start": r"\A",
    "text_end": r"\Z",
    "line_start": r"(?:(?<=\n)|\A)",
    "line_end": r"(?:(?=\n)|\Z)",
}
_MIDSTREAM_LOOKS: Final[dict[p.Condition, str]] = {
    **_FINAL_LOOKS,
    "edge": r"(?:\b(?!\Z))",
    "no_edge": r"(?:\B(?!\Z))",
    "text_end": r"(?!)",
    "line_end": r"(?=\n)",
}


def _source(node: p.Node, *, final: bool) -> str:
    match node:
        case p.Chars():
            return f"[{''.join(_range(low, high) for low, high in node.ranges)}]"
        case p.Look():
            return (_FINAL_LOOKS if final else _MIDSTREAM_LOOKS)[node.condition]
        case p.Sequence():
            return "".join(_source(item, final=final) for item in node.items)
        case p.Choice():
            return f"(?:{'|'.join(_source(option, final=final) for option in node.options)})"
        case p.Repeat():
            most = "" if node.most is None else node.most
            return f"(?:{_source(node.item, final=final)}){{{node.least},{most}}}{'?' if node.lazy else ''}"
        case _:
            assert_never(node)


def _range(low: int, high: int) -> str:
    return f"\\U{low:08x}" if low == high else f"\\U{low:08x}-\\U{high:08x}"
