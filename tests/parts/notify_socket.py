"""The socket on which a service manager listens: what a service told it, datagram by datagram."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TOLD_WITHIN_S: Final = 30.0
"""Generous: the machine may be busy with other tests."""


class NotifySocket:
    """Construct inside `listening`."""

    def __init__(self, channel: socket.socket, address: str) -> None:
        self.address = address
        """What belongs into `NOTIFY_SOCKET`."""
        self._channel = channel

    def next(self, within_s: float = TOLD_WITHIN_S) -> dict[str, str] | None:
        """The next datagram as names and values; None where none comes in time."""
        self._channel.settimeout(within_s)
        try:
            text = self._channel.recv(65_536).decode()
        except TimeoutError:
            return None
        return dict(line.split("=", 1) for line in text.split("\n"))

    def until(self, name: str) -> dict[str, str]:
        """The next datagram that has this name; others are passed over."""
        give_up_at = time.monotonic() + TOLD_WITHIN_S
        while (left_s := give_up_at - time.monotonic()) > 0:
            told = self.next(left_s)
            if told is not None and name in told:
                return told
        raise AssertionError(f"`{name}` was not told within {TOLD_WITHIN_S} s")

    def forget(self) -> None:
        """Pass over what was told so far."""
        self._channel.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._channel.recv(65_536)


@contextlib.contextmanager
def listening(folder: Path, *, abstract: bool = False) -> Iterator[NotifySocket]:
    """A socket in a folder, or one whose abstract name holds that of the folder."""
    name = f"@{folder}/notify" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name[1:] if abstract else name)
        yield NotifySocket(channel, name)
