"""Refusing a document: every reason at once, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from wardwright.contracts.tree import Spot
from wardwright.kernel.errors import Place, WardwrightError

REASONS_MAX: Final = 100
"""Reasons told of one document; a file with more has one mistake many times."""

LISTED_MAX: Final = 12
"""Names that a hint lists when none of them resembles what was written."""


class ContractErrors(WardwrightError):
    """A file is refused whole; `errors` says why, in the order of the file.

    Caught as a `WardwrightError` it speaks for the first of them.
    """

    def __init__(self, errors: Sequence[WardwrightError]) -> None:
        first, more = errors[0], len(errors) - 1
        message = first.message if not more else f"{first.message} (and {more} more)"
        super().__init__(first.code, message, place=first.place, hint=first.hint)
        self.errors = tuple(errors)


def in_order(errors: Iterable[WardwrightError]) -> list[WardwrightError]:
    """Errors as a reader meets them: by file, line and column."""

    def spot(error: WardwrightError) -> tuple[str, int, int]:
        place = error.place or Place()
        return (place.file or "", place.line or 0, place.column or 0)

    return sorted(errors, key=spot)


def syntax_error(file: str, at: Spot, message: str, hint: str | None = None) -> ContractErrors:
    """The refusal of a file that cannot be read at all."""
    place = Place(file=file, line=at.line, column=at.column)
    return ContractErrors([WardwrightError("contract_syntax", message, place=place, hint=hint)])


def did_you_mean(word: str, known: Collection[str]) -> str | None:
    """A hint from the names that exist, or None where there are none.

    >>> did_you_mean("context_windw", ["context_window", "capabilities"])
    'did you mean `context_window`?'
    >>> did_you_mean("zzz", ["fast", "strong"])
    'known here: fast, strong'
    """
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if not known:
        return None
    names = sorted(known)
    rest = len(names) - LISTED_MAX
    return "known here: " + ", ".join(names[:LISTED_MAX]) + (f" and {rest} more" if rest > 0 else "")
