"""The configured providers as running transports: opened when first named, kept while unchanged, let go when idle."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.dialects.voices import voice_of
from wardwright.gateway.catalog import Upstream
from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.supervisor import Supervisor

DOUBLES: Final = frozenset({"scripted", "replay"})
"""Transports that call no model."""

LINGER_POLL_S: Final = 0.25
LINGER_S_MAX: Final = 900.0
"""How long a replaced transport may take to finish the calls that it carries."""


class Build(Protocol):
    """Makes the transport of a provider; raises WardwrightError where it cannot."""

    def __call__(self, provider: Provider) -> Transport: ...


class Upstreams:
    """All providers by name."""

    def __init__(self, build: Build, supervisor: Supervisor) -> None:
        self._build = build
        self._supervisor = supervisor
        self._upstreams: dict[str, Upstream] = {}

    @property
    def by_name(self) -> Mapping[str, Upstream]:
        return self._upstreams

    async def keep(self, providers: Mapping[str, Provider]) -> dict[str, WardwrightError]:
        """Run these from now on, and no others. Returns why some cannot be built: each of them stays as it ran."""
        fresh: dict[str, Upstream] = {}
        failures: dict[str, WardwrightError] = {}
        for name, provider in providers.items():
            running = self._upstreams.get(name)
            if running is not None and running.provider == provider:
                fresh[name] = running
                continue
            try:
                fresh[name] = await self._opened(provider)
            except WardwrightError as error:
                failures[name] = error
                if running is not None:
                    fresh[name] = running
        replaced = [upstream for name, upstream in self._upstreams.items() if fresh.get(name) is not upstream]
        self._upstreams = fresh
        for upstream in replaced:
            self._supervisor.spawn(self._let_go(upstream.transport))
        return failures

    async def _opened(self, provider: Provider) -> Upstream:
        upstream = Upstream(
            double=provider.transport in DOUBLES,
            provider=provider,
            transport=self._build(provider),
            voice=voice_of(provider),
        )
        await upstream.transport.open()
        return upstream

    async def aclose(self) -> None:
        for upstream in self._upstreams.values():
            await upstream.transport.aclose()
        self._upstreams = {}

    async def _let_go(self, transport: Transport) -> None:
        """Close a transport once the calls that started on it have ended."""
        waited_s = 0.0
        try:
            while waited_s < LINGER_S_MAX:
                gauges = transport.gauges()
                if gauges.connections == gauges.idle and not gauges.waiting:
                    break
                await asyncio.sleep(LINGER_POLL_S)
                waited_s += LINGER_POLL_S
        finally:
            await transport.aclose()
