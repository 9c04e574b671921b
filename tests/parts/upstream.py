"""An inference server that answers what a test wrote down, over real sockets, and remembers what it was asked.

Rule 1: replies belong to a model name; the n-th request for a model gets the n-th reply, the last one repeats.
Rule 2: every piece of a reply is one write, so that what arrives when can be asserted.
Rule 3: it watches its client while it waits: `left` says for which requests the connection went away before the reply
was out.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, TypeAlias

import msgspec

STALL_S_MAX: Final = 20.0
"""A stalled reply ends by itself after this long: no test waits for it."""

JSON: Final = (("content-type", "application/json"),)
EVENTS: Final = (("content-type", "text/event-stream"),)

Ending: TypeAlias = Literal["end", "cut", "reset", "stall"]
"""After the last piece: the reply is complete, it lacks its end, the connection breaks, or nothing ever comes."""


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    raw: bytes
    body: dict[str, Any]
    at_s: float
    """Monotonic."""


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = JSON
    wait_s: float = 0.0
    """Before the head."""
    gap_s: float = 0.0
    """Between two pieces."""
    ending: Ending = "end"
    """Without any piece, `reset` and `stall` come before the head."""


Answer: TypeAlias = Reply | Callable[[Asked], Reply]


@dataclass
class Upstream:
    """A server that runs in threads of this process."""

    base_url: str
    """Ends in `/v1`."""
    asked: list[Asked] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Models whose client went away before the reply was out, in the order in which it was noticed."""
    _replies: dict[str, tuple[Answer, ...]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def on(self, model: str, *replies: Answer) -> None:
        """Set the replies for a model name and count anew."""
        with self._changed:
            self._replies[model] = replies
            self._counts[model] = 0

    def of(self, model: str) -> list[Asked]:
        """The requests for a model so far."""
        with self._changed:
            return [asked for asked in self.asked if asked.body.get("model") == model]

    def last(self, model: str) -> Asked:
        return self.of(model)[-1]

    def wait_until(self, holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Until a request arrived or a client left such that `holds`."""
        with self._changed:
            assert self._changed.wait_for(holds, timeout_s), f"not within {timeout_s} s; left: {self.left}"

    def reply_to(self, asked: Asked) -> Reply:
        """Note a request and choose what it gets."""
        model = str(asked.body.get("model"))
        with self._changed:
            self.asked.append(asked)
            self._counts[model] += 1
            nth = self._counts[model]
            replies = self._replies.get(model)
            self._changed.notify_all()
        if replies is None:
            return Reply((b'{"error": {"message": "no such model"}}',), status=404)
        answer = replies[min(nth, len(replies)) - 1]
        return answer if isinstance(answer, Reply) else answer(asked)

    def note_left(self, model: str) -> None:
        with self._changed:
            self.left.append(model)
            self._changed.notify_all()


@contextmanager
def running() -> Iterator[Upstream]:
    """Serve on a port that the system chose until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.upstream = Upstream(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.upstream
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    upstream: Upstream

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        asked = Asked(
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            raw=raw,
            body=msgspec.json.decode(raw, type=dict[str, Any]),
            at_s=time.monotonic(),
        )
        reply = self.server.upstream.reply_to(asked)
        try:
            if self._play(reply):
                return
        except OSError:
            pass
        else:
            if reply.ending == "reset":
                self._reset()
                return
            if reply.ending == "cut":
                self.close_connection = True
                return
        self.close_connection = True
        self.server.upstream.note_left(str(asked.body.get("model")))

    def _play(self, reply: Reply) -> bool:
        """Whether the reply is out whole; False where it stops short, or its client went away meanwhile."""
        if reply.wait_s and self._client_leaves_within(reply.wait_s):
            raise OSError
        if reply.ending != "end" and not reply.pieces:
            return self._stop_short(reply)
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        chunked = len(reply.pieces) > 1 or reply.ending != "end"
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(b"".join(reply.pieces))))
        self.end_headers()
        for index, piece in enumerate(reply.pieces):
            if index and reply.gap_s and self._client_leaves_within(reply.gap_s):
                raise OSError
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if reply.ending != "end":
            return self._stop_short(reply)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        return True

    def _stop_short(self, reply: Reply) -> bool:
        if reply.ending == "stall" and self._client_leaves_within(STALL_S_MAX):
            raise OSError
        return False

    def _client_leaves_within(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while (left_s := give_up_at - time.monotonic()) > 0 and not self.server.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], min(left_s, 0.2))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return True
            if readable:
                time.sleep(min(left_s, 0.01))
        return False

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
