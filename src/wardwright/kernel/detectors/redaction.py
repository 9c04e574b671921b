"""What was found, taken out of a text.

Finds that overlap become one; the word for it is that of the first, and of those that begin together, of the longest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from wardwright.kernel.detectors.finding import Found
from wardwright.kernel.detectors.table import BY_NAME, Family

Style: TypeAlias = Literal["family", "mask", "name"]
"""`[secret]`, `••••••••` (as long as what it stands for), `[github_token]`."""

FAMILY_WORDS: Final[dict[Family, str]] = {
    "network": "address",
    "personal_data": "personal data",
    "secrets": "secret",
}
_MASK: Final = "•"


class Cover(msgspec.Struct, frozen=True):
    """A place of a text and what stands there instead."""

    start: int
    end: int
    word: str


def cover(one: Found, style: Style) -> Cover:
    """Where a find stands, and the word for it."""
    return Cover(one.start, one.end, _word(one, style))


def covered(text: str, covers: Iterable[Cover]) -> str:
    """The text with every place covered.

    >>> covered("mail ann@example.com", [cover(Found("email", 5, 20), "family")])
    'mail [personal data]'
    """
    out: list[str] = []
    at = 0
    end = 0
    for cover in sorted(covers, key=lambda one: (one.start, -one.end)):
        if cover.start >= end:
            out += (text[at : cover.start], cover.word)
        elif cover.end > end and cover.word.startswith(_MASK):
            out.append(_MASK * (cover.end - end))
        end = max(end, cover.end)
        at = end
    return "".join((*out, text[at:]))


def _word(one: Found, style: Style) -> str:
    match style:
        case "family":
            return f"[{FAMILY_WORDS[BY_NAME[one.name].family]}]"
        case "mask":
            return _MASK * (one.end - one.start)
        case "name":
            return f"[{one.name}]"
        case _:
            assert_never(style)
