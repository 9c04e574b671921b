"""Writes of one turn of the event loop, made together at its end.

A write to a socket whose reader sleeps costs far more than one whose reader is awake: the kernel wakes it on another
core. Written one after the other at the end of a turn, the first wakes the reader and the others find it awake; what
goes to one connection in the same turn becomes one write. Under load that is a third of a small call's whole cost; on
an idle loop the turn ends at once.
"""

from __future__ import annotations

import asyncio
from typing import Final

JOINED_BYTES_MAX: Final = 16_384
"""Up to which writes are joined; copying more costs more than another write."""


class Outbox:
    """Belongs to one event loop. Order is kept for each connection."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write at the end of this turn."""
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self.flush)
        elif waiting[-1][0] is transport and len(waiting[-1][1]) + len(data) <= JOINED_BYTES_MAX:
            waiting[-1] = (transport, waiting[-1][1] + data)
            return
        waiting.append((transport, data))

    def flush(self) -> None:
        """Write now: before a connection is closed, or another way of writing is used."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
