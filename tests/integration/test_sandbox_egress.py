"""The one way out of a sandbox: what the scope names is reached from within, by address and port, and nothing else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from parts.real_hands import PYTHON, machine
from wardwright.harness.core.hands import Command, Ended, Request, Scope
from wardwright.harness.sandbox.hands import LocalHands
from wardwright.harness.sandbox.posture import Posture, Walls
from wardwright.kernel.errors import WardwrightError
from wardwright.testing.certificates import Authority

GET: Final = """
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
except OSError as error:
    print("refused:", error)
"""
CONNECT: Final = """
import os, socket, sys, urllib.parse
door = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
with socket.create_connection((door.hostname, door.port), timeout=10) as connection:
    connection.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\\r\\n\\r\\n".encode())
    answer = connection.recv(1000)
    print(answer.split(b"\\r\\n")[0].decode())
    if b" 200 " in answer:
        connection.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        connection.shutdown(socket.SHUT_WR)
        print(b"".join(iter(lambda: connection.recv(1000), b"")).decode())
"""
DIRECT: Final = """
import socket, sys
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    print("reached")
except OSError as error:
    print("refused:", error)
"""


@pytest.fixture(scope="module")
def posture() -> Posture:
    return machine()


@asynccontextmanager
async def _server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        host = [line for line in head.split(b"\r\n") if line.lower().startswith(b"host:")]
        body = b"hello " + b"".join(host)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _run(
    posture: Posture,
    walls: Walls,
    folder: Path,
    hosts: tuple[str, ...],
    code: str,
    said: str,
    *,
    public: tuple[str, ...] = (),
) -> Ended:
    scope = Scope(read=(str(folder),), programs=(PYTHON,), hosts=hosts, public_hosts=public)
    argv = (PYTHON, "-I", "-c", code, said)
    command = Command(argv=argv, cwd=str(folder), output_bytes_max=10_000, timeout_s=30)
    return await LocalHands(scope, posture, walls).run(command)


@pytest.mark.parametrize("walls", ["both", "landlock"])
def test_a_program_reaches_the_host_that_its_scope_names(posture: Posture, walls: Walls, tmp_path: Path) -> None:
    async def play() -> None:
        async with _server() as port:
            here = f"127.0.0.1:{port}"
            ended = await _run(posture, walls, tmp_path, (here,), GET, f"http://{here}/")
            assert ended.stdout.decode().strip() == f"hello Host: {here}", ended.stderr
            tunnel = await _run(posture, walls, tmp_path, (here,), CONNECT, here)
            assert tunnel.stdout.startswith(b"HTTP/1.1 200 "), tunnel
            assert b"hello " in tunnel.stdout

    asyncio.run(play())


@pytest.mark.parametrize("walls", ["both", "landlock"])
def test_a_host_or_port_that_the_scope_does_not_name_is_refused_by_the_door(
    posture: Posture, walls: Walls, tmp_path: Path
) -> None:
    async def play() -> None:
        async with _server() as port:
            for hosts in (("127.0.0.1:1",), ("example.com:*",), ("*.example.com:*",)):
                ended = await _run(posture, walls, tmp_path, hosts, CONNECT, f"127.0.0.1:{port}")
                assert ended.stdout.startswith(b"HTTP/1.1 403 "), ended

    asyncio.run(play())


def test_a_name_that_leads_to_a_private_address_is_refused_where_the_caller_chose_it(
    posture: Posture, tmp_path: Path
) -> None:
    async def play() -> None:
        async with _server() as port:
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
                chosen = (f"{host}:{port}",)
                ended = await _run(posture, "both", tmp_path, (), CONNECT, f"{host}:{port}", public=chosen)
                assert ended.stdout.startswith(b"HTTP/1.1 403 "), ended

    asyncio.run(play())


@pytest.mark.parametrize("head", ["GET / HTTP/1.1", "nonsense", "CONNECT x", f"CONNECT {'x' * 70_000}:1 HTTP/1.1"])
def test_nonsense_at_the_door_is_refused_and_does_not_break_it(head: str, posture: Posture, tmp_path: Path) -> None:
    code = CONNECT.replace('f"CONNECT {sys.argv[1]} HTTP/1.1', 'f"{sys.argv[1]}')

    async def play() -> None:
        async with _server() as port:
            ended = await _run(posture, "both", tmp_path, (f"127.0.0.1:{port}",), code, head)
            assert not ended.stdout.startswith(b"HTTP/1.1 200 "), ended

    asyncio.run(play())


def test_a_tunnel_that_stays_open_ends_with_its_run(posture: Posture, tmp_path: Path) -> None:
    """Both ends are silent: the program leaves the connection open and ends, and the server never answers."""
    code = CONNECT.split("    if b")[0] + "    sys.stdout.flush(); os._exit(0)\n"

    async def play() -> None:
        connected = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            assert await reader.read() == b""
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        try:
            here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ended = await _run(posture, "both", tmp_path, (here,), code, here)
            assert ended.stdout.startswith(b"HTTP/1.1 200 "), ended
            assert connected.is_set()
        finally:
            server.close()

    asyncio.run(play())


@pytest.mark.parametrize("walls", ["both", "landlock"])
def test_beside_the_door_there_is_no_way(posture: Posture, walls: Walls, tmp_path: Path) -> None:
    """Not even to what the scope names: programs that go round the door are stopped by both walls."""

    async def play() -> None:
        async with _server() as port:
            ended = await _run(posture, walls, tmp_path, (f"127.0.0.1:{port}",), DIRECT, str(port))
            assert ended.stdout.startswith(b"refused:"), ended

    asyncio.run(play())


def test_what_is_no_name_or_port_is_an_error_like_any_other(posture: Posture) -> None:
    async def play() -> set[str]:
        codes = set()
        hands = LocalHands(Scope(hosts=("*.example.com:*", "127.0.0.1:*")), posture, "none")
        for host, port in (("a\0b.example.com", 443), (f"{'a' * 64}.example.com", 443), ("127.0.0.1", 99_999),
                           ("127.0.0.1", 0), ("127.0.0.1", -1)):  # fmt: skip
            with pytest.raises(WardwrightError) as refused:
                await hands.connect(host, port, timeout_s=10)
            codes.add(refused.value.code)
        return codes

    assert asyncio.run(play()) == {"tool_failed", "scope_denied"}


def test_a_name_is_pinned_and_still_shown_to_the_server_and_its_certificate(posture: Posture, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust = ssl.create_default_context(cafile=str(authority.bundle))

    async def play(host: str) -> bytes:
        async with _server(authority.server_context("localhost")) as port:
            scope = Scope(hosts=(f"{host}:{port}",))
            hands = LocalHands(scope, posture, "none", trust=trust)
            request = Request(method="GET", url=f"https://{host}:{port}/", body_bytes_max=1000, timeout_s=10)
            answer = await hands.exchange(request)
            assert answer.body.lower() == f"hello host: {host}:{port}".encode()
            return answer.body

    assert asyncio.run(play("localhost"))
    with pytest.raises(WardwrightError) as refused:
        asyncio.run(play("127.0.0.1"))
    assert refused.value.code == "tool_failed"


def test_nothing_is_left_of_the_door_when_the_run_is_over(posture: Posture, tmp_path: Path) -> None:
    async def play() -> None:
        async with _server() as port:
            here = f"127.0.0.1:{port}"
            await _run(posture, "both", tmp_path, (here,), GET, f"http://{here}/")
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())
