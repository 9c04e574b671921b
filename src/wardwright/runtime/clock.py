"""Time and luck of the real world: the one place where they come from."""

from __future__ import annotations

import random
import secrets
import time


class SystemClock:
    """The machine's clocks. Implements `kernel.ids.Clock`."""

    def __init__(self) -> None:
        # The clock's own function rather than a method around it: a call reads it five times.
        self.monotonic_ns = time.monotonic_ns

    def now_us(self) -> int:
        return time.time_ns() // 1000


class SystemLuck:
    """Luck for identifiers, which nobody needs to guess: seeded once from the system. Implements `kernel.ids.Luck`."""

    def __init__(self) -> None:
        self.bits = random.Random(secrets.randbits(256)).getrandbits


class SecretLuck:
    """Luck for keys and tokens: the system's own, every time. Implements `kernel.ids.Luck`."""

    def bits(self, count: int) -> int:
        return secrets.randbits(count)
