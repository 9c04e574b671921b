"""How messages speak of what stands in a document: short, and never of what looks like a credential."""

from __future__ import annotations

from typing import Final

from wardwright.contracts import secrets
from wardwright.contracts.tree import Items, Scalar, Table, Tree

SHOWN_CHARS_MAX: Final = 60
"""Characters of a wrong value that a message repeats."""


def found(tree: Tree) -> str:
    """What stands in the document, in words."""
    match tree:
        case Table():
            return "a mapping"
        case Items():
            return "a list"
        case Scalar(form="null"):
            return "nothing"
        case Scalar(value=value, form="text"):
            return f"the text {shown(str(value))}" if value else "an empty text"
        case Scalar(value=value, form="instant"):
            return f"the date {value}"
        case Scalar(value=bool() as value):
            return f"`{str(value).lower()}`"
        case Scalar(value=value):
            return shown(str(value))


def shown(text: str) -> str:
    """A text as messages repeat it: short, and not at all where it looks like a credential."""
    if secrets.looks_like(text) is not None:
        return "`…`"
    short = text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 1] + "…"
    return "`" + short.encode("unicode_escape").decode() + "`" if not short.isprintable() else f"`{short}`"


def shown_key(key: str) -> str:
    """The same without quotes, for paths."""
    return shown(key)[1:-1]


def either(options: list[str]) -> str:
    """The options of a choice, in one phrase.

    >>> either(["auto", "manual"])
    '`auto` or `manual`'
    """
    quoted = [f"`{option}`" for option in options]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" or {quoted[-1]}"
