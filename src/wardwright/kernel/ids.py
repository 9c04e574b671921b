"""Identifiers that sort by the time they were minted.

`<prefix>_` and 26 characters of Crockford's base 32: 48 bits of milliseconds, then 80 bits of luck (the layout of a
ULID). The instant and the luck are arguments; the source that supplies them lives in `runtime`.
"""

from __future__ import annotations

from typing import Final, NewType, Protocol

ReceiptId = NewType("ReceiptId", str)
"""`rcp_…`: one governed call."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
LUCK_BITS: Final = 80


def mint(prefix: str, at_us: int, luck: int) -> str:
    """An identifier for an instant (µs since the epoch) and LUCK_BITS random bits.

    >>> mint("rcp", 1_700_000_000_000_000, 7)
    'rcp_01hf7yat000000000000000007'
    """
    bits = (at_us // 1000) << LUCK_BITS | luck
    pairs = _PAIRS
    return (
        f"{prefix}_{pairs[bits >> 120 & 1023]}{pairs[bits >> 110 & 1023]}{pairs[bits >> 100 & 1023]}"
        f"{pairs[bits >> 90 & 1023]}{pairs[bits >> 80 & 1023]}{pairs[bits >> 70 & 1023]}{pairs[bits >> 60 & 1023]}"
        f"{pairs[bits >> 50 & 1023]}{pairs[bits >> 40 & 1023]}{pairs[bits >> 30 & 1023]}{pairs[bits >> 20 & 1023]}"
        f"{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"
    )


class Clock(Protocol):
    """Where instants come from. Implemented by `runtime.clock` and by the simulated clock of `testing`."""

    def now_us(self) -> int:
        """µs since the epoch, UTC. Serves people and age windows, never durations."""
        ...

    def monotonic_ns(self) -> int:
        """ns of a clock that never runs backwards. Serves durations."""
        ...


class Luck(Protocol):
    """Where random bits come from."""

    def bits(self, count: int) -> int:
        """An integer of `count` random bits."""
        ...
