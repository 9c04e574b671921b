"""What systemd is told of a service: that it is ready, reloads, ends, and still moves.

The protocol is that of sd_notify(3): one datagram of `NAME=value` lines to the socket that `$NOTIFY_SOCKET` names.

Rule 1: telling never waits and never fails the service: where nobody listens, nothing is sent.
Rule 2: the watchdog is fed from the event loop that does the work. A loop that is stuck feeds nothing.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG_US: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"

log = logging.getLogger("wardwright")


class Notifier:
    """One service, as its manager sees it."""

    def __init__(self, address: str = "", *, watchdog_s: float | None = None) -> None:
        """`address` is a path, or `@` and an abstract name; empty: nobody wants to know. `watchdog_s` is after how long
        a service that says nothing is taken for stuck."""
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def tell(self, *lines: str) -> None:
        """Send one datagram. Harmless where nobody listens."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager cannot be told `%s`: %s", lines[0], error)

    def ready(self, status: str) -> None:
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Until `ready` is told again."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> None:
        self.tell("STOPPING=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        self.tell(f"STATUS={text}")

    async def feed(self, moves: Callable[[], bool] = lambda: True) -> None:
        """Feed the watchdog at half of its interval, as long as the service `moves`, until cancelled. Returns at once
        where there is no watchdog."""
        while self.watchdog_s is not None:
            if moves():
                self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)


SILENT: Final = Notifier()


def notifier_of(environment: Mapping[str, str], pid: int) -> Notifier:
    """The one that the environment describes. A watchdog that waits for another process is not ours to feed.

    >>> notifier_of({"NOTIFY_SOCKET": "@wardwright", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 7).watchdog_s
    3.0
    >>> notifier_of({"NOTIFY_SOCKET": "@wardwright", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 8).watchdog_s
    """
    interval = environment.get(WATCHDOG_US, "")
    fed_by_us = environment.get(WATCHDOG_PID, str(pid)) == str(pid)
    watchdog_s = int(interval) / 1_000_000 if fed_by_us and interval.isdecimal() and int(interval) else None
    return Notifier(environment.get(SOCKET, ""), watchdog_s=watchdog_s)
