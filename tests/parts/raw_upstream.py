"""An upstream whose every byte a test decides: a function is handed each request and writes what it likes.

Rule 1: a thread a connection, so that a play may simply wait; every wait is bounded.
Rule 2: it remembers each request and whether its client left before the play was over.
Rule 3: a play that fails, fails the test when the upstream closes.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

PATIENCE_S: Final = 10.0

WHOLE_BODY: Final = json.dumps(
    {
        "id": "up-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
    separators=(",", ":"),
).encode()
SSE_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def whole(body: bytes = WHOLE_BODY, status: int = 200, *headers: str) -> bytes:
    """A whole answer."""
    lines = "".join(f"{line}\r\n" for line in headers)
    head = f"HTTP/1.1 {status} Such\r\ncontent-type: application/json\r\n{lines}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def text(content: str) -> bytes:
    return event({"content": content})


ROLE: Final = event({"role": "assistant", "content": ""})
STOP: Final = event({}, "stop")
DONE: Final = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body. An empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Turn:
    """One request, in the hands of a play."""

    def __init__(self, connection: socket.socket, head: bytes, body: bytes, nth: int) -> None:
        self.connection = connection
        self.head = head
        """Up to and without the empty line."""
        self.body = body
        self.nth = nth
        """Of all requests, from 1."""
        self.closed = False
        self.sent = 0
        """Bytes the kernel has taken."""
        self.left = threading.Event()
        """The client left while the play waited for that, or wrote."""

    @property
    def asked(self) -> Any:
        return json.loads(self.body)

    def send(self, *pieces: bytes) -> None:
        """Write; ends the play when the client has left."""
        for piece in pieces:
            view = memoryview(piece)
            while view:
                try:
                    written = self.connection.send(view)
                except (BrokenPipeError, ConnectionResetError):
                    self.left.set()
                    raise _Left from None
                self.sent += written
                view = view[written:]

    def stream(self, *events: bytes) -> None:
        """A whole streamed answer."""
        self.send(SSE_HEAD, *map(chunk, events), chunk(b""))

    def wait_until_left(self, within_s: float = PATIENCE_S) -> None:
        """Wait for the client to leave; AssertionError when it does not."""
        ready, _, _ = select.select([self.connection], [], [], within_s)
        assert ready, "the client did not leave"
        try:
            data = self.connection.recv(1)
        except ConnectionResetError:
            data = b""
        assert not data, "the client sent more"
        self.left.set()
        self.close()

    def close(self) -> None:
        self.closed = True
        self.connection.close()

    def reset(self) -> None:
        """Close with an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class _Left(Exception):
    """The client has left: the play is over."""


Play: TypeAlias = Callable[[Turn], None]


class RawUpstream:
    """Listens on a loopback port that the system chose."""

    def __init__(self, play: Play, send_buffer_bytes: int | None = None) -> None:
        self.play = play
        """Handed each request; a test may put another in its place between calls."""
        self.turns: list[Turn] = []
        self.failures: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        if send_buffer_bytes is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._threads: list[threading.Thread] = []
        self._connections: set[socket.socket] = set()
        self._ends = False
        self._acceptor = threading.Thread(target=self._accept, name="upstream")
        self._acceptor.start()

    @property
    def last(self) -> Turn:
        return self.turns[-1]

    def wait_for_turn(self, nth: int) -> Turn:
        """The request with this number, once it is here."""
        give_up_at = time.monotonic() + PATIENCE_S
        while len(self.turns) < nth:
            assert time.monotonic() < give_up_at, f"request {nth} did not come"
            time.sleep(0.001)
        return self.turns[nth - 1]

    def close(self) -> None:
        """Nobody listens any more. Harmless when repeated."""
        if self._ends:
            return
        self._ends = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a play of the upstream does not end"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name="upstream connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._converse(connection)
        except (_Left, ConnectionResetError, BrokenPipeError):
            pass
        except BaseException as failure:
            if not self._ends:
                self.failures.append(failure)
        finally:
            self._connections.discard(connection)
            connection.close()

    def _converse(self, connection: socket.socket) -> None:
        heard = b""
        while True:
            while b"\r\n\r\n" not in heard:
                data = connection.recv(65_536)
                if not data:
                    return
                heard += data
            head, _, heard = heard.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")[1:]
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            while len(heard) < length:
                data = connection.recv(65_536)
                if not data:
                    return
                heard += data
            turn = Turn(connection, head, heard[:length], len(self.turns) + 1)
            heard = heard[length:]
            self.turns.append(turn)
            self.play(turn)
            if turn.closed:
                return


@contextmanager
def running(play: Play, *, send_buffer_bytes: int | None = None) -> Iterator[RawUpstream]:
    """An upstream that ends with the block, its plays with it."""
    upstream = RawUpstream(play, send_buffer_bytes)
    try:
        yield upstream
    finally:
        upstream.close()
    assert not upstream.failures, upstream.failures


def answers(turn: Turn) -> None:
    """The ordinary play: a short answer, as asked."""
    if turn.asked.get("stream"):
        turn.stream(ROLE, text("one "), text("two"), STOP, DONE)
    else:
        turn.send(whole())
