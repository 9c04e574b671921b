"""Errors in the coat of the command line: text for people, one JSON document for programs."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wardwright.contracts.refusal import ContractErrors
from wardwright.kernel.errors import Place, WardwrightError


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One failure or warning in JSON."""

    code: str
    """A code of kernel.errors.CODES."""
    message: str
    hint: str | None
    at: Place | None


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one document of a command that failed."""

    error: Told
    errors: tuple[Told, ...] = ()
    """Every reason, where a file has several; `error` is the first of them."""


def told(error: WardwrightError) -> Told:
    return Told(code=error.code, message=error.message, hint=error.hint, at=error.place)


def parts_of(error: WardwrightError) -> tuple[WardwrightError, ...]:
    """Each reason on its own."""
    return error.errors if isinstance(error, ContractErrors) else (error,)


def failure_of(error: WardwrightError) -> Failure:
    parts = parts_of(error)
    return Failure(error=told(parts[0]), errors=tuple(map(told, parts)) if len(parts) > 1 else ())


def lines_of(error: WardwrightError, word: str = "error") -> Iterable[str]:
    """A failure for people: the sentence, its place and code, a blank line, what to do.

    >>> for line in lines_of(WardwrightError("model_not_found", "no model `codign`", hint="did you mean `coding`?")):
    ...     print(line)
    error: no model `codign`  [model_not_found]
    <BLANKLINE>
    hint: did you mean `coding`?
    """
    for index, part in enumerate(parts_of(error)):
        if index:
            yield ""
        if part.place is None:
            yield f"{word}: {part.message}  [{part.code}]"
        else:
            yield f"{word}: {part.message}"
            yield f"  --> {part.place}  [{part.code}]"
        if part.hint is not None:
            yield ""
            yield f"hint: {part.hint}"
