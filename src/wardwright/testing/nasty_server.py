"""An HTTP server with bad manners, chosen by the request's path: what transports are tested against.

Rule 1: it writes raw bytes; nothing between a behaviour and the socket puts them right.
Rule 2: it remembers every request with the connection it came on, and every client that left.
Rule 3: a behaviour that stalls does so until the client leaves; nothing here waits for ever.

`/split/17` runs the behaviour `split` with the argument `17`. BEHAVIOURS lists them all.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

BASE_PATH: Final = "/v1"
"""Below this path the behaviours live."""

WHOLE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n" + b'{"answer":"ok"}'
CHUNKED_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS: Final = tuple(b'data: {"n":%d}\n\n' % n for n in range(50))
TRICKLE_PAUSE_S: Final = 0.1
TRICKLE_EVENTS: Final = 6
FLOOD_BYTES: Final = 16_777_216
"""More than the sockets' buffers hold."""


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body. An empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came."""

    head: bytes
    """Up to and without the empty line."""
    body: bytes
    connection: int
    """Counted from 1."""
    nth: int
    """The request's place on its connection, from 1."""

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        pairs = (line.partition(b": ") for line in self.head.split(b"\r\n")[1:])
        return [(name.lower(), value) for name, _, value in pairs]


class Wire:
    """A connection in the hands of a behaviour."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen, gate: asyncio.Event):
        self._reader = reader
        self._writer = writer
        self.seen = seen
        self.gate = gate
        """Closed until a test opens it."""
        self.argument = seen.path.removeprefix(BASE_PATH).split("/")[2] if seen.path.count("/") > 2 else ""
        self.client_left = False

    async def send(self, *pieces: bytes, pause_s: float = 0.002) -> None:
        """Write pieces, each on its own, with a pause between them so that each is a read of its own."""
        for index, piece in enumerate(pieces):
            if index:
                await asyncio.sleep(pause_s)
            self._writer.write(piece)
            await self._writer.drain()

    async def stall(self) -> None:
        """Say nothing until the client leaves."""
        while await self._reader.read(65_536):
            pass
        self.client_left = True
        self.close()

    def close(self) -> None:
        """Close in good order."""
        self._writer.close()

    def reset(self) -> None:
        """Close with an RST: the client's next read fails."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Behaviour = Callable[[Wire], Awaitable[None]]
BEHAVIOURS: Final[dict[str, Behaviour]] = {}


def behaviour(function: Behaviour) -> Behaviour:
    """Put a behaviour under its name."""
    BEHAVIOURS[getattr(function, "__name__", "").replace("_", "-")] = function
    return function


class NastyServer:
    """Serves BEHAVIOURS on a loopback port that the system chose."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self.port = 0
        self.gate = asyncio.Event()
        """What `gated` waits for."""
        self.seen: list[Seen] = []
        self.left: list[Seen] = []
        """Requests whose client left while a behaviour stalled."""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1_048_576)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._server is not None:
            await self._server.wait_closed()

    def base_url(self, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{BASE_PATH}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections += 1
        try:
            await self._converse(reader, writer, self._connections)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        except asyncio.CancelledError:
            pass  # closing
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        nth = 0
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
            nth += 1
            seen = Seen(head=head, body=b"", connection=connection, nth=nth)
            length = int(dict(seen.headers).get(b"content-length", b"0"))
            seen = msgspec.structs.replace(seen, body=await reader.readexactly(length))
            self.seen.append(seen)
            wire = Wire(reader, writer, seen, self.gate)
            await BEHAVIOURS[seen.path.removeprefix(BASE_PATH).split("/")[1]](wire)
            if wire.client_left:
                self.left.append(seen)


# --- good manners


@behaviour
async def whole(wire: Wire) -> None:
    await wire.send(WHOLE)


@behaviour
async def chunked(wire: Wire) -> None:
    """Fifty events, each a chunk, in one write."""
    await wire.send(CHUNKED_HEAD + b"".join(chunk(event) for event in EVENTS) + chunk(b""))


@behaviour
async def echo(wire: Wire) -> None:
    body = wire.seen.head + b"\r\n\r\n" + wire.seen.body
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


@behaviour
async def status(wire: Wire) -> None:
    """Answer the status of the argument, with a body where that status has one."""
    if wire.argument in ("204", "304"):
        await wire.send(f"HTTP/1.1 {wire.argument} Such\r\nx-kept: yes\r\n\r\n".encode())
    else:
        await wire.send(f"HTTP/1.1 {wire.argument} Such\r\ncontent-length: 4\r\n\r\nwhy?".encode())


@behaviour
async def redirect(wire: Wire) -> None:
    await wire.send(
        b"HTTP/1.1 307 Elsewhere\r\nlocation: /v1/whole\r\nset-cookie: trace=1; Path=/\r\ncontent-length: 0\r\n\r\n"
    )


@behaviour
async def gzip(wire: Wire) -> None:
    """Bytes that claim to be compressed and are not: a transport hands them on as they are."""
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 8\r\n\r\nnot-gzip")


@behaviour
async def trickle(wire: Wire) -> None:
    """An event each tenth of a second."""
    events = [chunk(event) for event in EVENTS[:TRICKLE_EVENTS]]
    await wire.send(CHUNKED_HEAD + events[0], *events[1:], chunk(b""), pause_s=TRICKLE_PAUSE_S)


@behaviour
async def gated(wire: Wire) -> None:
    """Answer once the gate opens."""
    await wire.gate.wait()
    await wire.send(WHOLE)


@behaviour
async def flood(wire: Wire) -> None:
    """More than buffers hold."""
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % FLOOD_BYTES)
    for _ in range(FLOOD_BYTES // 65_536):
        await wire.send(b"x" * 65_536)


# --- odd, and within HTTP


@behaviour
async def split(wire: Wire) -> None:
    """A chunked answer in two writes, cut at the argument."""
    answer = CHUNKED_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + chunk(b"")
    cut = int(wire.argument)
    await wire.send(answer[:cut], answer[cut:])


@behaviour
async def byte_by_byte(wire: Wire) -> None:
    answer = CHUNKED_HEAD + chunk(EVENTS[0]) + chunk(b"")
    await wire.send(*(answer[n : n + 1] for n in range(len(answer))), pause_s=0.0005)


@behaviour
async def interim(wire: Wire) -> None:
    await wire.send(
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
        WHOLE,
    )


@behaviour
async def trailers(wire: Wire) -> None:
    await wire.send(CHUNKED_HEAD + chunk(b"one") + b"0\r\nx-checksum: 1\r\nx-signature: 2\r\n\r\n")


@behaviour
async def extensions(wire: Wire) -> None:
    """Chunk extensions are ignored."""
    await wire.send(CHUNKED_HEAD + b'3;a=b;c="d"\r\none\r\n0;last\r\n\r\n')


@behaviour
async def close_delimited(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil ", b"the end")
    wire.close()


@behaviour
async def http10(wire: Wire) -> None:
    await wire.send(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil ", b"the end")
    wire.close()


@behaviour
async def says_close(wire: Wire) -> None:
    await wire.send(WHOLE.replace(b"\r\ncontent-type", b"\r\nconnection: close\r\ncontent-type", 1))
    wire.close()


@behaviour
async def large_header(wire: Wire) -> None:
    """One header of as many bytes as the argument says."""
    await wire.send(WHOLE.replace(b"\r\n\r\n", b"\r\nx-large: %b\r\n\r\n" % (b"x" * int(wire.argument)), 1))


@behaviour
async def many_headers(wire: Wire) -> None:
    """As many headers as the argument says."""
    lines = b"".join(b"x-%d: %d\r\n" % (n, n) for n in range(int(wire.argument)))
    await wire.send(WHOLE.replace(b"content-type", lines + b"content-type", 1))


# --- lies and nonsense


@behaviour
async def short(wire: Wire) -> None:
    """Fewer bytes than declared."""
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
    wire.close()


@behaviour
async def long(wire: Wire) -> None:
    """More bytes than declared, in the same write; they look like another answer."""
    await wire.send(WHOLE + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")


@behaviour
async def afterthought(wire: Wire) -> None:
    """More bytes than declared, a moment later."""
    await wire.send(WHOLE, b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")


@behaviour
async def lost_chunks(wire: Wire) -> None:
    """A chunked body without its last chunk."""
    await wire.send(CHUNKED_HEAD + chunk(b"one"))
    wire.close()


@behaviour
async def cut(wire: Wire) -> None:
    """The chunked answer of `split`, and nothing of it after as many bytes as the argument says."""
    answer = CHUNKED_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + chunk(b"")
    await wire.send(answer[: int(wire.argument)])
    wire.close()


@behaviour
async def bad_chunk(wire: Wire) -> None:
    await wire.send(CHUNKED_HEAD + chunk(b"one"), b"zz\r\ntwo\r\n0\r\n\r\n")
    await wire.stall()


@behaviour
async def two_lengths(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc")
    await wire.stall()


@behaviour
async def garbage(wire: Wire) -> None:
    await wire.send(b"\x16\x03\x01 this is no answer\r\n\r\n")
    await wire.stall()


@behaviour
async def headless(wire: Wire) -> None:
    """A body without a head."""
    await wire.send(b'{"answer":"ok"}')
    wire.close()


@behaviour
async def switches(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n\x00\x01")
    await wire.stall()


@behaviour
async def endless_head(wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await wire.send(b"x-more: %b\r\n" % (b"x" * 1000), pause_s=0)


@behaviour
async def endless_interim(wire: Wire) -> None:
    while True:
        await wire.send(b"HTTP/1.1 103 Early Hints\r\nlink: %b\r\n\r\n" % (b"x" * 1000))


@behaviour
async def endless_trailers(wire: Wire) -> None:
    await wire.send(CHUNKED_HEAD + chunk(b"one") + b"0\r\n")
    while True:
        await wire.send(b"x-more: %b\r\n" % (b"x" * 1000))


@behaviour
async def endless_body(wire: Wire) -> None:
    await wire.send(CHUNKED_HEAD)
    while True:
        await wire.send(chunk(b"x" * 65_536))


# --- stalls and breaks


@behaviour
async def stall(wire: Wire) -> None:
    """Before the head, within it, after it, or within the body, as the argument says."""
    match wire.argument:
        case "head":
            await wire.send(b"HTTP/1.1 200 O")
        case "interim":
            await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        case "body":
            await wire.send(CHUNKED_HEAD, chunk(b"one"))
        case "length":
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
    await wire.stall()


@behaviour
async def drip(wire: Wire) -> None:
    """An event every few milliseconds, for ever."""
    await wire.send(CHUNKED_HEAD)
    while True:
        await asyncio.sleep(0.005)
        await wire.send(chunk(b"tick"))


@behaviour
async def slam(wire: Wire) -> None:
    """Close without a word, or within the head, as the argument says."""
    if wire.argument == "head":
        await wire.send(b"HTTP/1.1 200 O")
    wire.close()


@behaviour
async def reset(wire: Wire) -> None:
    """Reset before the head, within it or within the body, as the argument says."""
    match wire.argument:
        case "head":
            await wire.send(b"HTTP/1.1 200 O", b"")
        case "body":
            await wire.send(CHUNKED_HEAD + chunk(b"one"), b"")
        case "close-delimited":
            await wire.send(b"HTTP/1.1 200 OK\r\n\r\nuntil", b"")
    await asyncio.sleep(0.02)  # what was sent is read before the RST discards it
    wire.reset()


@behaviour
async def once(wire: Wire) -> None:
    """Answer the first request of a connection; close at the second without a word (a stale keep-alive)."""
    if wire.seen.nth == 1:
        await wire.send(WHOLE)
    else:
        wire.close()


@behaviour
async def once_then_a_byte(wire: Wire) -> None:
    """Answer the first request of a connection; close at the second after the first byte of an answer."""
    if wire.seen.nth == 1:
        await wire.send(WHOLE)
    else:
        await wire.send(b"H")
        wire.close()


@behaviour
async def hang_up(wire: Wire) -> None:
    """Answer, say nothing of closing, and close."""
    await wire.send(WHOLE)
    wire.close()
