"""The transport kit over every transport that speaks to a network, on both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.limits.deadlines import Wheel
from wardwright.providers.http1 import NativeTransport
from wardwright.providers.httpx_transport import Httpx2Transport
from wardwright.providers.spawn import Spawn
from wardwright.testing import transport_kit

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
NATIVE_CASES = transport_kit.cases("reuse", "coalescing", "bounded_framing", "stale_retry")


def native(
    provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
) -> Transport:
    return NativeTransport(provider, credential, (), wheel, loop, spawn)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("case", NATIVE_CASES, ids=str)
def test_the_native_transport_keeps_the_promises(case: transport_kit.Case, loop: str) -> None:
    case.run(native, LOOPS[loop])


def httpx2(
    provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
) -> Transport:
    return Httpx2Transport(provider, credential, (), wheel, loop, spawn)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("case", transport_kit.cases(), ids=str)
def test_the_httpx2_transport_keeps_the_promises(case: transport_kit.Case, loop: str) -> None:
    case.run(httpx2, LOOPS[loop])
