"""Who a transport speaks TLS with, and whom it refuses."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from wardwright.contracts.provider import Provider, Timeouts
from wardwright.dialects.exchange import Transport
from wardwright.limits.deadlines import Wheel
from wardwright.providers.http1 import NativeTransport
from wardwright.providers.httpx_transport import Httpx2Transport
from wardwright.providers.spawn import Spawn
from wardwright.testing.certificates import Authority
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import EVENTS, NastyServer
from wardwright.testing.rig import Build, Rig, running
from wardwright.testing.transport_kit import expect_failure, expect_whole


def native(
    provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
) -> Transport:
    return NativeTransport(provider, credential, (), wheel, loop, spawn)


def httpx2(
    provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
) -> Transport:
    return Httpx2Transport(provider, credential, (), wheel, loop, spawn)


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
BUILDS: dict[str, Build] = {"native": native, "httpx2": httpx2}

both = pytest.mark.parametrize(("build", "loop"), [(build, loop) for build in BUILDS for loop in LOOPS])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(
    build: str, loop: str, tls: ssl.SSLContext, bundle: Path | None, *paths: str, host: str = "127.0.0.1"
) -> list[Heard]:
    """Ask a TLS server, and hear what came of it."""

    async def main() -> list[Heard]:
        server = NastyServer(tls)
        await server.open()
        provider = Provider(
            name="tls", base_url=server.base_url(host), tls_ca_file=None if bundle is None else str(bundle)
        )
        wheel = Wheel(0.0)
        try:
            async with running(BUILDS[build], provider, wheel) as transport:
                rig = Rig(transport, server, wheel, BUILDS[build])
                return [await rig.ask(path) for path in paths]
        finally:
            await server.aclose()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main())


@both
def test_a_server_that_the_bundle_vouches_for_is_spoken_with(authority: Authority, build: str, loop: str) -> None:
    tls = authority.server_context("127.0.0.1")
    heard = ask(build, loop, tls, authority.bundle, "/whole", "/chunked", "/close-delimited", "/short", "/whole")
    expect_whole(heard[0])
    expect_whole(heard[1], b"".join(EVENTS))
    expect_whole(heard[2], b"until the end")
    expect_failure(heard[3], "truncated", "reset")
    expect_whole(heard[4])


@both
def test_a_name_is_checked_as_a_name(authority: Authority, build: str, loop: str) -> None:
    (heard,) = ask(build, loop, authority.server_context("localhost"), authority.bundle, "/whole", host="localhost")
    expect_whole(heard)


@both
def test_a_certificate_for_another_name_is_refused(authority: Authority, build: str, loop: str) -> None:
    tls = authority.server_context("other.example")
    for host, why in (("127.0.0.1", "address"), ("localhost", "name")):
        (heard,) = ask(build, loop, tls, authority.bundle, "/whole", host=host)
        failure = expect_failure(heard, "connect")
        assert failure.message == f"the provider's certificate is for another {why}"


@both
def test_a_self_signed_certificate_is_refused(authority: Authority, build: str, loop: str) -> None:
    (heard,) = ask(build, loop, authority.self_signed_context("127.0.0.1"), authority.bundle, "/whole")
    assert expect_failure(heard, "connect").message == "the provider's certificate is self-signed"


@both
def test_an_authority_that_nobody_named_is_refused(authority: Authority, build: str, loop: str) -> None:
    (heard,) = ask(build, loop, authority.server_context("127.0.0.1"), None, "/whole")
    failure = expect_failure(heard, "connect")
    assert failure.message == "the provider's certificate comes from an authority that is not trusted"


@both
def test_an_expired_certificate_is_refused(authority: Authority, build: str, loop: str) -> None:
    tls = authority.server_context("127.0.0.1", valid_until=datetime(2021, 1, 1, tzinfo=UTC))
    (heard,) = ask(build, loop, tls, authority.bundle, "/whole")
    assert expect_failure(heard, "connect").message == "the provider's certificate has expired"


def ask_raw(build: str, loop: str, answer: bytes | None) -> Heard:
    """Ask a server that speaks no TLS: it answers any bytes with `answer`, or never."""

    async def main() -> Heard:
        left = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            if answer is not None:
                writer.write(answer)
            while await reader.read(4096):
                pass
            writer.close()
            left.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        provider = Provider(
            name="plain",
            base_url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            timeouts=Timeouts(connect_s=1),
        )
        wheel = Wheel(0.0)
        async with server, running(BUILDS[build], provider, wheel) as transport:
            rig = Rig(transport, NastyServer(), wheel, BUILDS[build])
            heard = rig.start("/whole")
            await asyncio.sleep(0.05)
            await rig.pass_time(provider.timeouts.connect_s + 1)
            await heard.ended()
            await asyncio.wait_for(left.wait(), 5)
            return heard

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main())


@both
def test_a_server_without_tls_is_refused(build: str, loop: str) -> None:
    heard = ask_raw(build, loop, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    assert expect_failure(heard, "connect").message == "the TLS handshake failed"


@both
def test_a_handshake_that_never_ends_is_a_slow_connect(build: str, loop: str) -> None:
    expect_failure(ask_raw(build, loop, None), "connect_timeout")
