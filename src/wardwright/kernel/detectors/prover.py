"""Detectors on a text that is still being written: spans that are proved, as a pattern's finder would give them.

A candidate that is not proved is passed over by one character, so that what is found does not depend on where a search
began. The search window is what a stream keeps, which its caps bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from wardwright.kernel.detectors.proofs import Proof
from wardwright.kernel.detectors.table import Row
from wardwright.kernel.patterns.admission import Regex, admit
from wardwright.kernel.patterns.search import Finder


class Prover:
    """Finds what some rows find: the leftmost proved candidate, of those that begin together the longest."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[Row]) -> None:
        """Raises PatternProblem where a shape is none."""
        self._rows = tuple((Finder(admit(Regex(row.shape))), row.proof) for row in rows)

    def find(self, text: str, start: int, *, final: bool) -> tuple[int, int] | None:
        """The first that begins at `start` or later. Raises TimeoutError."""
        spans = [_proved(finder, proof, text, start, final) for finder, proof in self._rows]
        return min((span for span in spans if span is not None), key=lambda span: (span[0], -span[1]), default=None)


def _proved(finder: Finder, proof: Proof | None, text: str, at: int, final: bool) -> tuple[int, int] | None:
    while (span := finder.find(text, at, final=final)) is not None:
        if proof is None:
            return span
        start, end = span
        if size := proof(text[start:end]):
            return start, start + size
        at = start + 1
    return None
