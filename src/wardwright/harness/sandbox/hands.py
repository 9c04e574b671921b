"""The real hands, in grades: the same files and hosts, and programs with or without walls around them.

Files are opened beneath the scope's folders by the kernel in either grade (`beneath`), hosts are judged by name and
address (`network`). What differs is what a program can do once it runs: `OpenHands` hold it to nothing but limits;
`SandboxedHands` put up both walls, or do not run it at all.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from wardwright.harness.core.before import Keep, Snapshot
from wardwright.harness.core.hands import Answer, Command, Content, Ended, Hands, Listing, Request, Scope, WriteHow
from wardwright.harness.sandbox import files, snapshot
from wardwright.harness.sandbox.beneath import Folders
from wardwright.harness.sandbox.network import Network
from wardwright.harness.sandbox.posture import Posture, Requirement, Walls
from wardwright.harness.sandbox.programs import Limits, Programs

LIMITS: Final = Limits()


class LocalHands(Hands):
    """Hands on this machine, with the walls that they were given."""

    def __init__(
        self,
        scope: Scope,
        posture: Posture,
        walls: Walls,
        *,
        limits: Limits = LIMITS,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Raises `scope_denied` for a scope with a path that is not absolute, or that was made to lead elsewhere."""
        self.scope = scope
        self.walls: Final = walls
        """What stands around a program of these hands."""
        self.folders = Folders(scope)
        self._programs = Programs(scope, self.folders, posture, walls, limits)
        self._network = Network(scope, trust)

    async def run(self, command: Command) -> Ended:
        return await self._programs.run(command)

    async def read(self, path: str, *, offset: int = 0, bytes_max: int) -> Content:
        return await asyncio.to_thread(files.read, self.folders, path, offset=offset, bytes_max=bytes_max)

    async def list(self, path: str, *, items_max: int) -> Listing:
        return await asyncio.to_thread(files.listed, self.folders, path, items_max=items_max)

    async def write(self, path: str, data: bytes, how: WriteHow) -> int:
        return await asyncio.to_thread(files.write, self.folders, path, data, how)

    async def take(self, path: str, keep: Keep) -> Snapshot:
        return await asyncio.to_thread(snapshot.take, self.folders, path, keep)

    async def sealed(self, taken: Snapshot, keep: Keep) -> Snapshot:
        return await asyncio.to_thread(snapshot.sealed, self.folders, taken, keep)

    async def restore(self, taken: Snapshot, keep: Keep, *, forced: bool) -> None:
        await asyncio.to_thread(lambda: snapshot.restore(self.folders, taken, keep, forced=forced))

    async def resolve(self, host: str) -> tuple[str, ...]:
        return await self._network.resolve(host)

    async def connect(self, host: str, port: int, *, timeout_s: float) -> str:
        return await self._network.connect(host, port, timeout_s=timeout_s)

    async def exchange(self, request: Request) -> Answer:
        return await self._network.exchange(request)


class OpenHands(LocalHands):
    """Programs run as we do, in a process group of their own. What they are is checked; what they do is not."""

    def __init__(
        self, scope: Scope, posture: Posture, *, limits: Limits = LIMITS, trust: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(scope, posture, "none", limits=limits, trust=trust)


class SandboxedHands(LocalHands):
    """Programs run behind bubblewrap and Landlock."""

    def __init__(
        self, scope: Scope, posture: Posture, *, limits: Limits = LIMITS, trust: ssl.SSLContext | None = None
    ) -> None:
        """Raises `sandbox_unavailable` where this machine has not both walls."""
        posture.require("programs")
        super().__init__(scope, posture, "both", limits=limits, trust=trust)


def hands(scope: Scope, posture: Posture, requirement: Requirement, *, limits: Limits = LIMITS) -> LocalHands:
    """The best hands that this machine has, as good as is required.

    Raises `sandbox_unavailable`, and `scope_denied` for a scope that is none.
    """
    posture.require(requirement)
    if posture.walls == "both":
        return SandboxedHands(scope, posture, limits=limits)
    return LocalHands(scope, posture, posture.walls, limits=limits)
