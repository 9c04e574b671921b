"""The httpx2 transport behind an HTTP proxy: plain requests are forwarded, TLS goes through a tunnel."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.limits.deadlines import Wheel
from wardwright.providers.httpx_transport import Httpx2Transport
from wardwright.providers.spawn import Spawn
from wardwright.testing.certificates import Authority
from wardwright.testing.heard import Heard
from wardwright.testing.nasty_server import NastyServer
from wardwright.testing.rig import CREDENTIAL, Rig, running
from wardwright.testing.transport_kit import expect_failure, expect_whole


class Proxy:
    """A proxy that notes the first line and the head of each request."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.heads: list[bytes] = []
        self._refuses = refuses
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, target, _ = head.split(b" ", 2)
        if self._refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        if method == b"CONNECT":
            port = int(target.rpartition(b":")[2])
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            rest = b""
        else:
            port = int(target.split(b":")[2].split(b"/")[0])
            rest = head.replace(b"http://127.0.0.1:%d" % port, b"", 1)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        far_writer.write(rest)
        await asyncio.wait(
            [
                asyncio.create_task(pump(reader, far_writer)),
                asyncio.create_task(pump(far_reader, writer)),
            ]
        )


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def build(
    provider: Provider, credential: bytes, wheel: Wheel, loop: asyncio.AbstractEventLoop, spawn: Spawn
) -> Transport:
    return Httpx2Transport(provider, credential, (), wheel, loop, spawn)


def ask(server: NastyServer, proxy: Proxy, bundle: Path | None, *paths: str) -> list[Heard]:
    async def main() -> list[Heard]:
        await server.open()
        provider = Provider(
            name="behind",
            base_url=server.base_url(),
            proxy=await proxy.open(),
            tls_ca_file=None if bundle is None else str(bundle),
        )
        wheel = Wheel(0.0)
        try:
            async with running(build, provider, wheel) as transport:
                rig = Rig(transport, server, wheel, build)
                return [await rig.ask(path) for path in paths]
        finally:
            await server.aclose()
            await proxy.aclose()

    return asyncio.run(main())


def test_a_plain_request_is_forwarded() -> None:
    server, proxy = NastyServer(), Proxy()
    expect_whole(ask(server, proxy, None, "/whole")[0])
    assert proxy.heads[0].startswith(b"POST http://127.0.0.1:")
    assert server.seen[0].path == "/v1/whole"


def test_tls_goes_through_a_tunnel_that_sees_no_credential(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, proxy = NastyServer(authority.server_context("127.0.0.1")), Proxy()
    whole, short = ask(server, proxy, authority.bundle, "/whole", "/short")
    expect_whole(whole)
    expect_failure(short, "truncated", "reset")
    assert len(proxy.heads) == 2
    for head in proxy.heads:
        assert head.startswith(b"CONNECT 127.0.0.1:")
        assert CREDENTIAL not in head
        assert b"/v1" not in head


def test_a_proxy_that_refuses_is_a_failure_to_connect(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, proxy = NastyServer(authority.server_context("127.0.0.1")), Proxy(refuses=True)
    expect_failure(ask(server, proxy, authority.bundle, "/whole")[0], "connect")
    assert server.seen == []
