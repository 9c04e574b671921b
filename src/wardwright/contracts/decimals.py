"""Decimals as text: one spelling a value, so that equal prices have equal digests."""

from __future__ import annotations

import re
from typing import Final

DIGITS_MAX: Final = 15
"""Digits before the point."""

PLACES_MAX: Final = 6
"""Digits after the point: fractions are then whole parts per million, prices whole micro-USD."""

_SPELLING: Final = re.compile(r"\+?([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]{1,3}))?")


def normalise(text: str) -> str | None:
    """The canonical spelling of a non-negative decimal, or None if it is none or passes a bound.

    >>> normalise("00.250"), normalise("1e-3"), normalise("2."), normalise("-1")
    ('0.25', '0.001', '2', None)
    """
    match = _SPELLING.fullmatch(text.strip())
    if match is None:
        return None
    whole, fraction, exponent = match[1], match[2] or "", int(match[3] or 0)
    if not whole + fraction or abs(exponent) > DIGITS_MAX + PLACES_MAX or len(whole + fraction) > 2 * DIGITS_MAX:
        return None
    digits, point = whole + fraction, len(whole) + exponent
    digits = digits.rjust(len(digits) - point, "0") if point < 0 else digits.ljust(point, "0")
    point = max(point, 0)
    whole, fraction = digits[:point].lstrip("0") or "0", digits[point:].rstrip("0")
    if len(whole) > DIGITS_MAX or len(fraction) > PLACES_MAX:
        return None
    return f"{whole}.{fraction}" if fraction else whole


def compare(left: str, right: str) -> int:
    """-1, 0 or 1, for two canonical spellings.

    >>> compare("0.9", "10"), compare("1.5", "1.25")
    (-1, 1)
    """
    left_key, right_key = _key(left), _key(right)
    return (left_key > right_key) - (left_key < right_key)


def _key(text: str) -> tuple[int, str, str]:
    whole, _, fraction = text.partition(".")
    return len(whole), whole, fraction
