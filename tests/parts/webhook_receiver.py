"""A receiver of webhooks as an operator has one: an HTTP server that checks signatures, and is slow or fails on demand.

It verifies as the Standard Webhooks specification says, with code of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

SECRET: Final = "a-secret-of-the-tests-that-is-long-enough"
TOLERANCE_S: Final = 300
WAIT_S_MAX: Final = 20.0


@dataclass(frozen=True)
class Posted:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes
    genuine: bool
    """Its signature is right and fresh."""
    status: int
    """What it was answered."""

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    wait_s: float = 0.0
    """Before the head."""
    hang_up: bool = False
    """Close the connection without an answer."""


@dataclass
class Receiver:
    """A server in threads of this process."""

    url: str
    secret: bytes = SECRET.encode()
    posted: list[Posted] = field(default_factory=list)
    """In the order of arrival, whatever was answered."""
    default: Reply = Reply()
    replies: deque[Reply] = field(default_factory=deque)
    """To the next requests; afterwards `default`."""
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set it, and no reply waits any longer."""
    under_way: int = 0
    """Requests whose reply waits."""
    _guard: threading.Condition = field(default_factory=threading.Condition)

    @property
    def taken(self) -> list[Posted]:
        """What it answered with success."""
        return [one for one in self.posted if 200 <= one.status < 300]

    def wait_for(self, count: int, timeout_s: float = 20.0) -> list[Posted]:
        """So many requests; AssertionError if they do not come."""
        with self._guard:
            assert self._guard.wait_for(lambda: len(self.posted) >= count, timeout_s), f"{len(self.posted)} came"
            return list(self.posted)

    def wait_until_busy(self, count: int, timeout_s: float = 20.0) -> None:
        """Until so many requests wait for their reply; AssertionError if they do not come."""
        with self._guard:
            assert self._guard.wait_for(lambda: self.under_way >= count, timeout_s), f"{self.under_way} are under way"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        with self._guard:
            self.under_way += 1
            self._guard.notify_all()
            reply = self.replies.popleft() if self.replies else self.default
        if reply.wait_s:
            self.let_go.wait(min(reply.wait_s, WAIT_S_MAX))
        with self._guard:
            self.under_way -= 1
            status = 0 if reply.hang_up else reply.status
            self.posted.append(Posted(path, headers, body, genuine(self.secret, headers, body), status))
            self._guard.notify_all()
        return reply


def genuine(secret: bytes, headers: dict[str, str], body: bytes) -> bool:
    """Whether a signature is one that the holder of the secret made just now."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    content = headers.get("webhook-id", "").encode() + b"." + stamp.encode() + b"." + body
    wanted = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    versions = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(one, f"v1,{wanted}") for one in versions)


@contextmanager
def receiving(*, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on loopback; the system chooses the port unless an earlier one's is named."""
    receiver = Receiver(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.answer(self.path, headers, body)
            self.close_connection = True
            if reply.hang_up:
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

    class Quiet(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no failure of the test."""

    server = Quiet(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
