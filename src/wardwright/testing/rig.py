"""A transport, a nasty server and a wheel on one event loop: where the cases of the transport kit run."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import msgspec

from wardwright.contracts.provider import Pool, Provider, Timeouts
from wardwright.dialects.exchange import HttpRequest, Receiver, Transport
from wardwright.limits.deadlines import TICK_S, Wheel
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import NastyServer

CREDENTIAL: Final = b"sk-never-to-be-seen"

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
Build: TypeAlias = Callable[[Provider, bytes, Wheel, asyncio.AbstractEventLoop, Spawn], Transport]
"""Makes the transport under test, not yet opened."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a case asks of its rig."""

    timeouts: Timeouts = Timeouts()
    pool: Pool = Pool()
    speed: int = 1
    """Seconds of the wheel in one second of the loop: bounds of whole seconds pass in milliseconds."""


class Rig:
    """One case's world."""

    def __init__(
        self, transport: Transport, server: NastyServer, loop: asyncio.AbstractEventLoop, build: Build
    ) -> None:
        self.transport = transport
        self.server = server
        self.loop = loop
        self.build = build
        """Makes another transport of the same sort."""

    def start(self, path: str, body: bytes = b"{}", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Heard:
        heard = Heard(self.loop)
        self.start_with(heard, heard, path, body, headers)
        return heard

    def start_with(
        self,
        heard: Heard,
        receiver: Receiver,
        path: str,
        body: bytes = b"{}",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Start with a receiver of one's own that hands on to `heard`."""
        heard.exchange = self.transport.start(HttpRequest(path, headers, body), receiver)

    async def ask(self, path: str, body: bytes = b"{}", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Heard:
        """One exchange to its end."""
        return await self.start(path, body, headers).ended()

    async def until(self, claim: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until a claim holds."""
        deadline = self.loop.time() + within_s
        while not claim():
            assert self.loop.time() < deadline, "the claim never held"
            await asyncio.sleep(0.002)


@asynccontextmanager
async def rig(build: Build, setting: Setting) -> AsyncIterator[Rig]:
    """A rig that is open, and closed afterwards; checks that the transport leaves no task behind."""
    loop = asyncio.get_running_loop()
    server = NastyServer()
    await server.open()
    provider = Provider(name="kit", base_url=server.base_url(), timeouts=setting.timeouts, pool=setting.pool)
    async with running(build, provider, setting.speed) as transport:
        try:
            yield Rig(transport, server, loop, build)
        finally:
            await transport.aclose()
            await server.aclose()


@asynccontextmanager
async def running(build: Build, provider: Provider, speed: int = 1) -> AsyncIterator[Transport]:
    """A transport that is open, its wheel turning; closed afterwards."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    wheel = Wheel(0.0)
    tasks: set[asyncio.Task[None]] = set()
    names = itertools.count(1)

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = loop.create_task(work, name=f"transport-{next(names)}")
        tasks.add(task)
        return task

    async def turn() -> None:
        while True:
            await asyncio.sleep(TICK_S / max(speed, 5))
            wheel.advance((loop.time() - started) * speed)

    turning = loop.create_task(turn())
    transport = build(provider, CREDENTIAL, wheel, loop, spawn)
    await transport.open()
    try:
        yield transport
    finally:
        await transport.aclose()
        turning.cancel()
        left = [task.get_name() for task in tasks if not task.done()]
        assert not left, f"tasks left after aclose: {left}"
        for task in tasks:
            assert task.cancelled() or task.exception() is None, f"a task failed: {task.exception()!r}"
