"""Readers of whole upstream answers: the bytes are collected, bounded, and read once at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from wardwright.dialects.answer import ANSWER_BYTES_MAX, Tally, Whole
from wardwright.kernel.events import Broken

ReadWhole: TypeAlias = Callable[[bytes], Whole | Broken]
"""An upstream's body into the client's."""
Render: TypeAlias = Callable[[Whole], bytes]
"""A whole answer into what the client asked for."""


def _as_it_is(whole: Whole) -> bytes:
    return whole.body


class WholeReader:
    """A `voice.Reader` for an upstream that answers whole, whatever the client asked for."""

    __slots__ = ("_pieces", "_read", "_render", "_room", "broken", "done", "tally")

    def __init__(
        self, read: ReadWhole, *, render: Render = _as_it_is, answer_bytes_max: int = ANSWER_BYTES_MAX
    ) -> None:
        self._read = read
        self._render = render
        self._room = answer_bytes_max
        self._pieces: list[bytes] = []
        self.tally = Tally()
        self.broken: Broken | None = None
        self.done = False
        """Never: a whole body ends where HTTP says that it ends."""

    def feed(self, data: bytes) -> bytes:
        """Always empty: a whole answer is read at its end."""
        self._room -= len(data)
        if self._room < 0:
            self._pieces.clear()
            self.broken = Broken("upstream_failed", "the upstream's answer is larger than the gateway holds")
        elif self.broken is None:
            self._pieces.append(data)
        return b""

    def close(self) -> bytes:
        if self.broken is not None:
            return b""
        pieces = self._pieces
        whole = self._read(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        pieces.clear()
        if isinstance(whole, Broken):
            self.broken = whole
            return b""
        self.tally = whole.tally
        return self._render(whole)
