"""A transport, a nasty server and a wheel on one event loop: where the cases of the transport kit run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import msgspec

from wardwright.contracts.provider import Pool, Provider, Timeouts
from wardwright.dialects.exchange import HttpRequest, Receiver, Transport
from wardwright.limits.deadlines import TICK_S, Wheel
from wardwright.providers.spawn import Spawn
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import NastyServer

CREDENTIAL: Final = b"sk-never-to-be-seen"

Build: TypeAlias = Callable[[Provider, bytes, Wheel, asyncio.AbstractEventLoop, Spawn], Transport]
"""Makes the transport under test, not yet opened."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a case asks of its rig."""

    timeouts: Timeouts = Timeouts()
    pool: Pool = Pool()
    holds_time: bool = False
    """The wheel turns only in `pass_time`, so that a case decides what came before a bound passed."""


class Rig:
    """One case's world."""

    def __init__(self, transport: Transport, server: NastyServer, wheel: Wheel, build: Build) -> None:
        self.transport = transport
        self.server = server
        self.wheel = wheel
        self.build = build
        """Makes another transport of the same sort."""
        self.loop = asyncio.get_running_loop()

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

    async def pass_time(self, seconds: float) -> None:
        """Turn the wheel on by so much, tick by tick, and let what follows from it happen."""
        for _ in range(round(seconds / TICK_S)):
            self.wheel.advance(self.wheel.now + TICK_S * 1.001)
        await asyncio.sleep(0.02)

    async def until(self, claim: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until a claim holds."""
        deadline = self.loop.time() + within_s
        while not claim():
            assert self.loop.time() < deadline, "the claim never held"
            await asyncio.sleep(0.002)


@asynccontextmanager
async def rig(build: Build, setting: Setting) -> AsyncIterator[Rig]:
    """A rig that is open, and closed afterwards."""
    server = NastyServer()
    await server.open()
    provider = Provider(name="kit", base_url=server.base_url(), timeouts=setting.timeouts, pool=setting.pool)
    wheel = Wheel(0.0)
    async with running(build, provider, wheel) as transport:
        turning = None if setting.holds_time else asyncio.get_running_loop().create_task(_turn(wheel))
        try:
            yield Rig(transport, server, wheel, build)
        finally:
            if turning is not None:
                turning.cancel()
            await transport.aclose()
            await server.aclose()


@asynccontextmanager
async def running(build: Build, provider: Provider, wheel: Wheel) -> AsyncIterator[Transport]:
    """A transport that is open; closed afterwards. Checks that it leaves no task behind."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = loop.create_task(work)
        tasks.add(task)
        return task

    transport = build(provider, CREDENTIAL, wheel, loop, spawn)
    await transport.open()
    try:
        yield transport
    finally:
        await transport.aclose()
        left = [task for task in tasks if not task.done()]
        assert not left, f"tasks left after aclose: {left}"
        for task in tasks:
            assert task.cancelled() or task.exception() is None, f"a task failed: {task.exception()!r}"


async def _turn(wheel: Wheel) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        await asyncio.sleep(TICK_S)
        wheel.advance(loop.time() - started)
