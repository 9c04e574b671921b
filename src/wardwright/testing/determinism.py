"""Time and luck in the test's own hands."""

from __future__ import annotations

import hashlib
from typing import Final

EPOCH_US: Final = 1_800_000_000_000_000


class HandClock:
    """Stands still until it is moved. Implements `kernel.ids.Clock`."""

    def __init__(self, at_us: int = EPOCH_US) -> None:
        self.at_us = at_us

    def now_us(self) -> int:
        return self.at_us

    def monotonic_ns(self) -> int:
        return (self.at_us - EPOCH_US) * 1000

    def advance(self, us: int) -> None:
        self.at_us += us


class SeededLuck:
    """The same bits in the same order for the same seed. Implements `kernel.ids.Luck`."""

    def __init__(self, seed: str = "luck") -> None:
        self._seed = seed
        self._drawn = 0

    def bits(self, count: int) -> int:
        self._drawn += 1
        value = 0
        for block in range((count + 255) // 256):
            name = f"{self._seed} {self._drawn} {block}".encode()
            value = value << 256 | int.from_bytes(hashlib.sha256(name).digest(), "big")
        return value & ((1 << count) - 1)
