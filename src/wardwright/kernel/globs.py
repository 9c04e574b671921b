"""`*` stands for any run of characters, slashes too; nothing else is special, and case counts."""

from __future__ import annotations


def matches(glob: str, text: str) -> bool:
    """Whether `text` is what `glob` describes. Never backtracks.

    >>> matches("gpt-*-mini", "gpt-5-mini"), matches("gpt-*", "o3")
    (True, False)
    """
    head, star, rest = glob.partition("*")
    if not star:
        return glob == text
    *middle, tail = rest.split("*")
    if len(text) < len(head) + len(tail) or not (text.startswith(head) and text.endswith(tail)):
        return False
    at, end = len(head), len(text) - len(tail)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
