"""Readers of whole upstream answers: the bytes are collected, bounded, and read once at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from wardwright.dialects.answer import ANSWER_BYTES_MAX, Tally, Whole
from wardwright.kernel.events import Broken

ReadWhole: TypeAlias = Callable[[bytes], Whole | Broken]
"""An upstream's body into the client's."""
Render: TypeAlias = Callable[[Whole], bytes]
"""A whole answer into what the client asked for."""


class WholeReader(msgspec.Struct, eq=False):
    """A `voice.Reader` for an upstream that answers whole, whatever the client asked for."""

    read: ReadWhole
    render: Render | None = None
    """None: the client wants it whole."""
    answer_bytes_max: int = ANSWER_BYTES_MAX
    broken: Broken | None = None
    done: bool = False
    """Never: a whole body ends where HTTP says that it ends."""
    tally: Tally = msgspec.field(default_factory=Tally)
    _bytes: int = 0
    _pieces: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Always empty: a whole answer is read at its end."""
        self._bytes += len(data)
        if self._bytes > self.answer_bytes_max:
            self._pieces.clear()
            self.broken = Broken("upstream_failed", "the upstream's answer is larger than the gateway holds")
        elif self.broken is None:
            self._pieces.append(data)
        return b""

    def close(self) -> bytes:
        if self.broken is not None:
            return b""
        pieces = self._pieces
        whole = self.read(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        pieces.clear()
        if isinstance(whole, Broken):
            self.broken = whole
            return b""
        self.tally = whole.tally
        return whole.body if self.render is None else self.render(whole)
