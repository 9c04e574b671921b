"""Which transport a provider document gets.

Rule 1: a registry is an object that somebody fills; importing this module loads and registers nothing else.
Rule 2: a transport's own dependencies are loaded when a provider asks for it, so that start-up does not pay for them.
Rule 3: credentials are read here, once a transport, and handed over as bytes; nothing else reads them.

Third parties register under the entry-point group ENTRY_POINTS a callable of the shape `Factory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, Protocol, TypeAlias

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.limits.deadlines import Wheel
from wardwright.providers.spawn import Spawn

ENTRY_POINTS: Final = "wardwright.transports"

ReadCredential: TypeAlias = Callable[[str], bytes]
"""From `env:NAME` or `file:PATH` to the credential. Raises `credential_unreadable`."""


class Factory(Protocol):
    """Makes the transport of one provider: cheaply, without connecting."""

    def __call__(
        self,
        provider: Provider,
        *,
        credential: bytes | None,
        headers: tuple[tuple[bytes, bytes], ...],
        wheel: Wheel,
        loop: asyncio.AbstractEventLoop,
        spawn: Spawn,
    ) -> Transport:
        """`headers` are the provider's own, their values resolved."""
        ...


class Registry:
    """Transports by name; our own are there from the start."""

    def __init__(self) -> None:
        self._factories: dict[str, Factory] = {
            "native": _native,
            "httpx2": _httpx2,
            "scripted": _scripted,
            "replay": _replay,
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._factories)

    def add(self, name: str, factory: Factory) -> None:
        """Register a transport. Raises `settings_invalid` for a name that is taken."""
        if name in self._factories:
            raise WardwrightError("settings_invalid", f"two transports are called `{name}`")
        self._factories[name] = factory

    def build(
        self,
        provider: Provider,
        *,
        credential: ReadCredential,
        wheel: Wheel,
        loop: asyncio.AbstractEventLoop,
        spawn: Spawn,
    ) -> Transport:
        """The provider's transport, not yet open.

        Raises `contract_invalid`, `invalid_header` and `credential_unreadable`.
        """
        factory = self._factories.get(provider.transport)
        if factory is None:
            near = get_close_matches(provider.transport, self._factories, 1)
            raise WardwrightError(
                "contract_invalid",
                f"provider `{provider.name}`: no transport is called `{provider.transport}`",
                place=Place(path="transport"),
                hint=f"did you mean `{near[0]}`?" if near else f"there are {', '.join(self._factories)}",
            )
        return factory(
            provider,
            credential=None if provider.credential is None else credential(provider.credential),
            headers=tuple((name.encode(), _resolved(value, credential)) for name, value in provider.headers),
            wheel=wheel,
            loop=loop,
            spawn=spawn,
        )


def _resolved(value: str, credential: ReadCredential) -> bytes:
    return credential(value) if value.startswith(("env:", "file:")) else value.encode()


def _native(
    provider: Provider,
    *,
    credential: bytes | None,
    headers: tuple[tuple[bytes, bytes], ...],
    wheel: Wheel,
    loop: asyncio.AbstractEventLoop,
    spawn: Spawn,
) -> Transport:
    from wardwright.providers.http1 import NativeTransport

    return NativeTransport(provider, credential, headers, wheel, loop, spawn)


def _httpx2(
    provider: Provider,
    *,
    credential: bytes | None,
    headers: tuple[tuple[bytes, bytes], ...],
    wheel: Wheel,
    loop: asyncio.AbstractEventLoop,
    spawn: Spawn,
) -> Transport:
    from wardwright.providers.httpx_transport import Httpx2Transport

    return Httpx2Transport(provider, credential, headers, wheel, loop, spawn)


def _scripted(
    provider: Provider,
    *,
    credential: bytes | None,
    headers: tuple[tuple[bytes, bytes], ...],
    wheel: Wheel,
    loop: asyncio.AbstractEventLoop,
    spawn: Spawn,
) -> Transport:
    from wardwright.providers.scripted import ScriptedTransport

    return ScriptedTransport(provider, wheel, loop)


def _replay(
    provider: Provider,
    *,
    credential: bytes | None,
    headers: tuple[tuple[bytes, bytes], ...],
    wheel: Wheel,
    loop: asyncio.AbstractEventLoop,
    spawn: Spawn,
) -> Transport:
    from wardwright.providers.replay import ReplayTransport

    return ReplayTransport(provider, wheel, loop)
