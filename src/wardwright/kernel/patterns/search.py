"""Searching texts for admitted patterns. One engine finds spans, in requests and in streams: `regex`.

A search that is not proved to be short runs under a timeout, and a search that timed out has no result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

import regex

from wardwright.kernel.patterns import language as p
from wardwright.kernel.patterns.admission import Admitted

SEARCH_TIMEOUT_S: Final = 0.02
"""Of one search of a whole text."""
MATCH_TIMEOUT_S: Final = 0.05
"""Of one search in a stream, near a match that the automaton knows of."""

SAMPLES_MAX: Final = 64

_FLAGS: Final = regex.ASCII | regex.VERSION0

Search: TypeAlias = Callable[[str], regex.Match[str] | None]


class Finder:
    """Finds the spans of one pattern, as `regex` prefers them: leftmost, then the first way that matches."""

    __slots__ = ("_final", "_midstream", "_timeout")

    def __init__(self, admitted: Admitted) -> None:
        self._midstream = regex.compile(admitted.midstream, _FLAGS)
        self._final = regex.compile(admitted.final, _FLAGS)
        self._timeout = None if admitted.deterministic else MATCH_TIMEOUT_S

    def find(self, text: str, start: int, *, final: bool) -> tuple[int, int] | None:
        """The first match that begins at `start` or later. Raises TimeoutError."""
        pattern = self._final if final else self._midstream
        if self._timeout is None:
            found = pattern.search(text, start)
        else:
            found = pattern.search(text, start, timeout=self._timeout)
        return None if found is None else found.span()


def searcher(admitted: Admitted) -> Search:
    """Searches a whole text. Raises TimeoutError where the search took too long."""
    search = regex.compile(admitted.final, _FLAGS).search
    if not admitted.short:
        return lambda text: search(text, timeout=SEARCH_TIMEOUT_S)
    if admitted.wider is None:
        return search
    wider = regex.compile(admitted.wider, _FLAGS).search
    return lambda text: None if wider(text) is None else search(text)


def finds(search: Callable[[str], object | None], text: str) -> bool:
    """Whether it may find something: a search that takes too long may find anything."""
    try:
        return search(text) is not None
    except TimeoutError:
        return True


def samples(admitted: Admitted) -> tuple[str, ...]:
    """Texts in which the pattern is found, one of each of its alternatives, where they can be made."""
    search = searcher(admitted)
    options = admitted.node.options if isinstance(admitted.node, p.Choice) else (admitted.node,)
    made = [_sample(option) for option in options[:SAMPLES_MAX]]
    tried = [next((text for text in (one, f" {one} ", f"x{one}x") if finds(search, text)), None) for one in made]
    return tuple(text for text in tried if text is not None)


def _sample(node: p.Node) -> str:
    match node:
        case p.Chars():
            return next((char for char in _USUAL if node.holds(char)), chr(node.ranges[0][0]))
        case p.Look():
            return ""
        case p.Sequence():
            return "".join(_sample(item) for item in node.items)
        case p.Choice():
            return _sample(node.options[0])
        case p.Repeat():
            return _sample(node.item) * max(node.least, node.most is None)
        case _:
            assert_never(node)


_USUAL: Final = "aA0 _-.\n" + "".join(map(chr, range(33, 127)))
"""Characters that a sample is made of, if possible."""
