"""Which transport a provider gets, and what is handed to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import msgspec
import pytest

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.deadlines import Wheel
from wardwright.providers.http1 import NativeTransport
from wardwright.providers.httpx_transport import Httpx2Transport
from wardwright.providers.registry import Registry
from wardwright.providers.replay import ReplayTransport
from wardwright.providers.scripted import ScriptedTransport
from wardwright.providers.spawn import Spawn

URL = "https://api.example.com/v1"


def build(registry: Registry, provider: Provider) -> Transport:
    async def main() -> Transport:
        loop = asyncio.get_running_loop()
        return registry.build(
            provider, credential=lambda source: b"<" + source.encode() + b">", wheel=Wheel(0.0), loop=loop,
            spawn=loop.create_task,
        )  # fmt: skip

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        (Provider(name="p", base_url=URL), NativeTransport),
        (Provider(name="p", base_url=URL, transport="httpx2"), Httpx2Transport),
        (Provider(name="p", transport="scripted"), ScriptedTransport),
        (Provider(name="p", transport="replay", recordings="recordings"), ReplayTransport),
    ],
)
def test_our_own_transports_are_there_from_the_start(provider: Provider, kind: type) -> None:
    assert isinstance(build(Registry(), provider), kind)


def test_a_factory_gets_credential_and_headers_resolved() -> None:
    got: dict[str, object] = {}

    def factory(
        provider: Provider,
        *,
        credential: bytes | None,
        headers: tuple[tuple[bytes, bytes], ...],
        wheel: Wheel,
        loop: asyncio.AbstractEventLoop,
        spawn: Spawn,
    ) -> Transport:
        got.update(credential=credential, headers=headers)
        return ScriptedTransport(provider, wheel, loop)

    registry = Registry()
    registry.add("own", factory)
    provider = Provider(name="p", credential="env:KEY", headers=(("x-team", "a"), ("x-key", "file:/run/key")))
    build(registry, msgspec.structs.replace(provider, transport="own"))
    assert got == {"credential": b"<env:KEY>", "headers": ((b"x-team", b"a"), (b"x-key", b"<file:/run/key>"))}


def test_a_name_is_taken_once() -> None:
    registry = Registry()
    with pytest.raises(WardwrightError) as caught:
        registry.add("native", lambda provider, **_: ScriptedTransport(provider, Wheel(0.0), asyncio.new_event_loop()))
    assert caught.value.code == "settings_invalid"


def test_an_unknown_transport_is_refused_with_a_suggestion() -> None:
    provider = msgspec.structs.replace(Provider(name="p"), transport="nativ")
    with pytest.raises(WardwrightError) as caught:
        build(Registry(), provider)
    assert caught.value.code == "contract_invalid"
    assert caught.value.hint == "did you mean `native`?"


def test_a_transport_that_nobody_uses_is_not_loaded() -> None:
    program = "import sys, wardwright.providers.registry as r; r.Registry(); sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
