"""Providers as operators see them: how they are reached and how they are doing, never with what credential."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from wardwright.api.operation import Ask
from wardwright.contracts.provider import Dialect, Provider
from wardwright.dialects.exchange import Gauges
from wardwright.limits.breaker import Health, Rest, State


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The health of one model at a provider, shared by all contracts that name it."""

    model: str
    """What the provider calls it."""
    state: State
    """Of the breaker: `closed` lets calls through, `half_open` one."""
    rest: Rest | None
    """Why it takes no call now."""
    free_in_s: float
    """When it may take one again; 0 for now."""
    calls: int
    """In the breaker's window."""
    failures: int
    """In the breaker's window."""


class ProviderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One configured provider."""

    id: str
    """The provider's name."""
    dialect: Dialect
    """What is spoken to it."""
    transport: str
    """How it is reached."""
    base_url: str | None
    """Without user, password and query."""
    credential_source: Literal["env", "file", "none"]
    """Where its credential comes from, never which."""
    double: bool
    """It calls no model: scripted or replayed."""
    health: Literal["unknown", "healthy", "degraded"]
    """`unknown`: no call in any window; `degraded`: some endpoint rests or is being probed."""
    endpoints: tuple[Endpoint, ...]
    """Those that some activated version may call."""
    gauges: Gauges
    """Its connections now."""


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """Every provider, by name."""

    data: tuple[ProviderStatus, ...]
    """By name."""


async def list_providers(ask: Ask[None]) -> Providers:
    gateway = ask.front.gateway
    now = gateway.now()
    health = gateway.health.all(now)
    found: list[ProviderStatus] = []
    for name, upstream in sorted(ask.front.upstreams.by_name.items()):
        provider = upstream.provider
        endpoints = tuple(_endpoint(model, one, now) for (owner, model), one in sorted(health.items()) if owner == name)
        found.append(
            ProviderStatus(
                id=name,
                dialect=provider.dialect,
                transport=provider.transport,
                base_url=None if provider.base_url is None else public(provider.base_url),
                credential_source=_source(provider),
                double=upstream.double,
                health=_worst(endpoints),
                endpoints=endpoints,
                gauges=upstream.transport.gauges(),
            )
        )
    return Providers(data=tuple(found))


def public(url: str) -> str:
    """An address without what may be secret in it.

    >>> public("https://user:word@api.example.com:8443/v1?key=1#x")
    'https://api.example.com:8443/v1'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _endpoint(model: str, health: Health, now: float) -> Endpoint:
    return Endpoint(
        model=model,
        state=health.state,
        rest=health.rest,
        free_in_s=round(max(0.0, health.free_at - now), 3),
        calls=health.calls,
        failures=health.failures,
    )


def _source(provider: Provider) -> Literal["env", "file", "none"]:
    credential = provider.credential
    if credential is None:
        return "none"
    return "env" if credential.startswith("env:") else "file"


def _worst(endpoints: tuple[Endpoint, ...]) -> Literal["unknown", "healthy", "degraded"]:
    if any(one.rest is not None or one.state != "closed" for one in endpoints):
        return "degraded"
    return "healthy" if any(one.calls for one in endpoints) else "unknown"
