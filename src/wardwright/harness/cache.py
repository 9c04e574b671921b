"""Answers of tools that only read, given again while they hold.

Rule 1: the key holds everything that the answer depends on: the tool's digest, the arguments, what its declared inputs
held, the scope and the tenant. Failures are never put here.
Rule 2: it is bounded in entries and in bytes; the least recently used go first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from cachetools import TLRUCache

BYTES_MAX: Final = 64 * 1024 * 1024
"""Of all answers together."""

ENTRY_BYTES: Final = 512
"""What an answer costs beside its result."""


class Answer(msgspec.Struct, frozen=True):
    """A result that was given before."""

    receipt: str
    """Of the call that got it."""
    result: bytes
    """As JSON."""
    ttl_s: int


class Answers:
    """Belongs to one thread."""

    def __init__(self, now: Callable[[], float], *, bytes_max: int = BYTES_MAX) -> None:
        """`now`: seconds of a clock that never runs backwards."""
        self._kept: TLRUCache[tuple[object, ...], Answer] = TLRUCache(
            bytes_max,
            ttu=lambda _, answer, now: now + answer.ttl_s,
            timer=now,
            getsizeof=lambda answer: len(answer.result) + ENTRY_BYTES,
        )

    def get(self, key: tuple[object, ...]) -> Answer | None:
        return self._kept.get(key)

    def put(self, key: tuple[object, ...], receipt: str, result: bytes, ttl_s: int) -> None:
        """One that is larger than all may be together is not kept."""
        if len(result) + ENTRY_BYTES <= self._kept.maxsize:
            self._kept[key] = Answer(receipt, result, ttl_s)
