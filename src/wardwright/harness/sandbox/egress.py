"""The one way out of a sandbox: an HTTP proxy that lets through what the scope names, and nothing else.

The listening socket was made within the sandbox's network namespace and handed out, so programs reach it at their own
loopback while everything behind it happens here: names are looked up, judged and connected to outside of the walls.

Rule 1: `CONNECT host:port`, and requests for `http://…`. A program that does not know proxies reaches nobody.
Rule 2: host and port are judged, and the address that is connected to; what is said over the connection is not looked
into. Who may reach a server may ask it for anything, by any name.
Rule 3: bounded: connections, heads, waits for a head. Bytes are relayed only as fast as the other side takes them.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from wardwright.harness.core.hands import Scope
from wardwright.harness.core.reach import PORT_MAX
from wardwright.harness.sandbox.network import connected_to
from wardwright.kernel.errors import WardwrightError

CONNECTIONS_MAX: Final = 64
"""At once. More wait until one ends."""
HEAD_BYTES_MAX: Final = 32 * 1024
HEAD_S_MAX: Final = 10.0
CONNECT_S_MAX: Final = 30.0
RELAY_BYTES: Final = 64 * 1024
"""Read at once."""

_HOP_BY_HOP: Final = (b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive")


class Door:
    """Serves one sandbox until it is closed."""

    def __init__(self, scope: Scope, listening: socket.socket, group: asyncio.TaskGroup) -> None:
        """Takes the socket over. Connections are served as tasks of the group."""
        self._scope = scope
        self._listening = listening
        self._group = group
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        listening.setblocking(False)
        self._loop.add_reader(listening.fileno(), self._accept)

    def close(self) -> None:
        """End every connection. Harmless when repeated."""
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening.fileno())
            self._listening.close()
        for task in self._serving:
            task.cancel()

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return
        connection.setblocking(False)
        task = self._group.create_task(self._serve(connection))
        self._serving.add(task)
        task.add_done_callback(self._served)
        if len(self._serving) >= CONNECTIONS_MAX:
            self._loop.remove_reader(self._listening.fileno())

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening.fileno(), self._accept)

    async def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(sock=connection, limit=HEAD_BYTES_MAX)
            try:
                await self._answer(reader, writer)
            finally:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.LimitOverrunError):
            return
        asked = wanted(head)
        if asked is None:
            writer.write(_refusal(400, "this proxy takes CONNECT and http:// alone"))
            return
        host, port, sent = asked
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                upstream, _ = await connected_to(self._scope, host, port)
        except WardwrightError as error:
            writer.write(_refusal(403 if error.code == "scope_denied" else 502, error.message))
            return
        except TimeoutError:
            writer.write(_refusal(504, f"`{host}:{port}` did not answer"))
            return
        with upstream:
            up_reader, up_writer = await asyncio.open_connection(sock=upstream)
            try:
                if sent is None:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    up_writer.write(sent)
                await _relayed(reader, up_writer, up_reader, writer)
            finally:
                up_writer.close()


def wanted(head: bytes) -> tuple[str, int, bytes | None] | None:
    """Host, port, and the head that is sent on; no head for CONNECT. None where it is neither.

    >>> wanted(b"CONNECT example.com:443 HTTP/1.1\\r\\n\\r\\n")
    ('example.com', 443, None)
    >>> wanted(b"GET http://example.com/a?b HTTP/1.1\\r\\nProxy-Connection: close\\r\\n\\r\\n")
    ('example.com', 80, b'GET /a?b HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n')
    """
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    try:
        target = words[1].decode("ascii")
        parts = urlsplit(f"//{target}" if words[0] == b"CONNECT" else target)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if words[0] == b"CONNECT":
        return None if not host or not port or parts.path else (host, port, None)
    port = port if port is not None else 80
    if parts.scheme != "http" or not host or parts.username is not None or not 0 < port <= PORT_MAX:
        return None
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}".encode()
    kept = [field for field in fields if field.split(b":", 1)[0].strip().lower() not in _HOP_BY_HOP]
    return host, port, b"\r\n".join([b" ".join((words[0], path, words[2])), *kept, b"Connection: close", b"", b""])


async def _relayed(
    reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Both ways, until both sides have ended."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_one_way(reader, up_writer))
        group.create_task(_one_way(up_reader, writer))


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(RELAY_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _refusal(status: int, why: str) -> bytes:
    body = f"wardwright: {why}\n".encode()
    reason = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway", 504: "Gateway Timeout"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
