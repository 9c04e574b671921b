"""What workers tell the process above them: the protocol of the service manager, spoken one floor down.

Rule 1: who speaks is what the kernel says, not what the datagram says.
Rule 2: a worker that said nothing for as long as the watchdog waits is taken for stuck. Where the listener itself could
not listen for a while, nobody is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Final

from wardwright.runtime.notify import SOCKET, WATCHDOG_PID, WATCHDOG_US

BYTES_MAX: Final = 4096
_CREDENTIALS: Final = struct.Struct("3i")


class Pulses:
    """The socket that workers speak to. Construct, `open` on the loop, `close`."""

    def __init__(self, watchdog_s: float | None, told: Callable[[int, frozenset[str]], None]) -> None:
        """`told` hears a process id and the lines that it sent."""
        self._heard: dict[int, float] = {}
        self._looked_s = 0.0
        self._told = told
        self._watchdog_s = watchdog_s
        self._channel: socket.socket

    def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._channel.bind("")  # an abstract name that the kernel chooses
        self._looked_s = loop.time()
        loop.add_reader(self._channel.fileno(), self._hear)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """That of a worker: it speaks to us, and not to whom we speak."""
        spoken = {name: value for name, value in ours.items() if name not in (SOCKET, WATCHDOG_US, WATCHDOG_PID)}
        name = self._channel.getsockname()
        spoken[SOCKET] = "@" + os.fsdecode(name)[1:]
        if self._watchdog_s is not None:
            spoken[WATCHDOG_US] = str(int(self._watchdog_s * 1_000_000))
        return spoken

    def begin(self, pid: int) -> None:
        """From now on this process must be heard of."""
        self._heard[pid] = asyncio.get_running_loop().time()

    def end(self, pid: int) -> None:
        self._heard.pop(pid, None)

    async def keep(self, stuck: Callable[[int], None]) -> None:
        """Tell of each process that is stuck, until cancelled. Returns at once where there is no watchdog."""
        loop = asyncio.get_running_loop()
        while self._watchdog_s is not None:
            self._looked_s = loop.time()
            await asyncio.sleep(self._watchdog_s / 2)
            now = loop.time()
            if now - self._looked_s > self._watchdog_s:  # it was us who did not move
                self._heard = dict.fromkeys(self._heard, now)
                continue
            for pid, heard in list(self._heard.items()):
                if now - heard > self._watchdog_s:
                    self.end(pid)
                    stuck(pid)

    def _hear(self) -> None:
        try:
            data, ancillary, _, _ = self._channel.recvmsg(BYTES_MAX, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            return
        for level, kind, said in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid, _, _ = _CREDENTIALS.unpack(said[: _CREDENTIALS.size])
                if pid in self._heard:
                    self._heard[pid] = asyncio.get_running_loop().time()
                    self._told(pid, frozenset(data.decode(errors="replace").split("\n")))
