"""Identifiers that sort by the time they were minted.

`<prefix>_` and 28 hex digits: 48 bits of milliseconds since the epoch, then 64 bits of luck. The instant and the luck
are arguments; the source that supplies them lives in `runtime`.
"""

from __future__ import annotations

from typing import Final, NewType, Protocol

ReceiptId = NewType("ReceiptId", str)
"""`rcp_…`: one governed call."""

LUCK_BITS: Final = 64


def mint(prefix: str, at_us: int, luck: int) -> str:
    """An identifier for an instant (µs since the epoch) and LUCK_BITS random bits.

    >>> mint("rcp", 1_700_000_000_000_000, 7)
    'rcp_018bcfe568000000000000000007'
    """
    return f"{prefix}_{at_us // 1000:012x}{luck:016x}"


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
