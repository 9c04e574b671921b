"""Looking for what the table names: one pass that most texts end at, then one for each row that has a candidate.

Rule 1: RE2 looks, over bytes: linear whatever the text, and a text of 200 KB is not copied again for each find.
Rule 2: a find is the leftmost candidate that is proved, then the next one after it. Finds of several rows may overlap.
Rule 3: past a candidate that is not proved the search goes on at its next character, so that nothing hides behind a
lookalike. Where such candidates together are REFUSED_TIMES_MAX as long as the text, which no honest text comes near,
the rest are passed over whole: no text can make the search dear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
import re2

from wardwright.kernel.detectors.table import ANY, Row, rows_of

CHOICES_KEPT_MAX: Final = 64
REFUSED_TIMES_MAX: Final = 16
_PROGRAM_BYTES_MAX: Final = 64 << 20
"""Of a program of RE2, such as the one that looks for all shapes at once."""


class Found(msgspec.Struct, frozen=True, order=True):
    """What a row found: characters of the text from `start` to before `end`."""

    name: str
    start: int
    end: int


class _Seeker(Protocol):
    """A compiled pattern of RE2."""

    def search(self, text: bytes, pos: int = 0) -> Any: ...


class _Shape:
    """One row, compiled."""

    __slots__ = ("row", "seeker")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.seeker = _compiled(row.shape)

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """In bytes."""
        proof, at = self.row.proof, 0
        patience = REFUSED_TIMES_MAX * len(data)
        while (match := self.seeker.search(data, at)) is not None:
            start, end = match.span()
            if proof is not None:
                candidate = data[start:end].decode("utf-8", "surrogatepass")
                proved = proof(candidate)
                if not proved:
                    patience -= end - start
                    at = start + 1 if patience > 0 else end
                    continue
                end = start + len(candidate[:proved].encode("utf-8", "surrogatepass"))
            yield start, end
            at = end


class Choice:
    """Some rows, ready to look."""

    __slots__ = ("_gate", "_shapes", "_sorter")

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self._shapes = tuple(_Shape(row) for row in rows)
        self._gate = _compiled("|".join(f"(?:{row.shape})" for row in rows))
        self._sorter = re2.Set.SearchSet(_options())
        for row in rows:
            self._sorter.Add(row.shape)
        self._sorter.Compile()

    def find(self, text: str) -> list[Found]:
        """Everything, by its place."""
        found = [Found(row.name, start, end) for row, start, end in self._spans(text)]
        return sorted(found, key=lambda one: (one.start, -one.end, one.name))

    def first(self, text: str) -> Found | None:
        """Something, if there is anything; not always the leftmost."""
        return next((Found(row.name, start, end) for row, start, end in self._spans(text)), None)

    def _spans(self, text: str) -> Iterator[tuple[Row, int, int]]:
        data = text.encode("utf-8", "surrogatepass")
        if self._gate.search(data) is None:
            return
        # A set that runs out of memory names no row, so that an empty answer stands for all of them.
        for index in self._sorter.Match(data) or range(len(self._shapes)):
            shape = self._shapes[index]
            spans = shape.spans(data)
            for start, end in spans if len(data) == len(text) else _in_chars(data, spans):
                yield shape.row, start, end


def find(text: str, names: Iterable[str] = (ANY,)) -> list[Found]:
    """What the named rows and families find, by its place. Raises KeyError where a name is none of `NAMES`.

    >>> find("Card 4111 1111 1111 1111, due 2026", ["personal_data"])
    [Found(name='credit_card', start=5, end=24)]
    """
    return choice(tuple(names)).find(text)


@lru_cache(CHOICES_KEPT_MAX)
def choice(names: tuple[str, ...]) -> Choice:
    """The rows that these names stand for. Raises KeyError."""
    rows = {row.name: row for name in names for row in rows_of(name)}
    return Choice(tuple(rows.values()))


def _in_chars(data: bytes, spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in order, counted in characters."""
    byte = chars = 0
    for start, end in spans:
        first = chars + len(data[byte:start].decode("utf-8", "surrogatepass"))
        chars = first + len(data[start:end].decode("utf-8", "surrogatepass"))
        byte = end
        yield first, chars


def _compiled(pattern: str) -> _Seeker:
    compiled: _Seeker = re2.compile(pattern.encode(), _options())
    return compiled


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _PROGRAM_BYTES_MAX
    return options
