"""The edge: uvicorn's HTTP/1.1 protocol, with model calls answered in place.

Rule 1: `POST` to a path in CALLS never becomes an ASGI task: the request goes to the gateway when its last byte is
here, and the connection itself is the client that the gateway answers. Everything else is uvicorn's and Starlette's.
Rule 2: every wait has a bound: the head (`head_timeout_s`, `head_bytes_max`), the body (`body_timeout_s`,
`body_bytes_max`), the call (its contract's deadline), the silence between requests (`idle_timeout_s`). One deadline a
connection, moved from one to the next.
Rule 3: a client that leaves is noticed at once, whatever the call is doing: reading is never paused for longer than
the client has not read what it was sent.
Rule 4: requests are answered one at a time. What a client pipelines behind a model call is not taken: the connection
closes after the answer, and the client repeats on a new one.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from wardwright.dialects.openai_wire import error_body
from wardwright.gateway.intake import Kind
from wardwright.gateway.live import Live
from wardwright.gateway.service import Gateway
from wardwright.kernel.errors import WardwrightError
from wardwright.limits.deadlines import NEVER, Deadline, Wheel
from wardwright.runtime.settings import Limits

CALLS: Final[dict[bytes, Kind]] = {
    b"/v1/chat/completions": "chat",
    b"/v1/embeddings": "embeddings",
}
"""The paths that the edge answers itself."""


# Where a connection stands: what its deadline means, and what its bytes are.
_IDLE, _HEAD, _BODY, _CALL, _ASGI, _CLOSING = range(6)

_JSON: Final = b"content-type: application/json\r\n"
_STREAM: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
)
_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_CLOSE: Final = b"connection: close\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_H2C: Final = b"Upgrade: h2c\r\n"
_DECLINED: Final = b"Declined: h2c\r\n"


class _Watch(Deadline):
    """The one deadline of a connection."""

    __slots__ = ("edge",)

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self.edge: Edge | None = edge

    def expired(self, now: float) -> None:
        if self.edge is not None:
            self.edge.expired()


class Edge(HttpToolsProtocol):
    """One connection. Implements `gateway.client.Client` for the model call that runs on it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        gateway: Gateway,
        limits: Limits,
        wheel: Wheel,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gateway = gateway
        self._limits = limits
        self._wheel = wheel
        self._watch = _Watch(self)
        self._state = _IDLE
        self._kind: Kind | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._is_deaf = False
        """What the client pipelined is not heard any more."""
        self._live: Live | None = None
        self._keep_alive = True
        self._chunked = True

    # -- the connection ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes_max)
        self._wait(self._limits.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.at = NEVER
        self._watch.edge = None
        self._state = _CLOSING
        live, self._live = self._live, None
        if live is not None:
            live.left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == _CLOSING:
            return
        if state == _IDLE:
            self._state = state = _HEAD
            self._head_bytes = 0
            self._wait(self._limits.head_timeout_s)
        if state == _HEAD:
            self._head_bytes += len(data)
            if _H2C in data:
                # Java's client offers HTTP/2 with every request it makes in the clear. The offer is declined by not
                # seeing it; left in place, the parser would take the body for the other protocol.
                data = data.replace(_H2C, _DECLINED, 1)
        elif self._is_deaf:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._turn_away(
                WardwrightError("invalid_request", "this server speaks HTTP/1.1 and upgrades to nothing else")
            )
        except httptools.HttpParserCallbackError as wrapped:
            if not isinstance(wrapped.__context__, _Pipelined):
                raise
            self._is_deaf = True
        except httptools.HttpParserError:
            self._turn_away(WardwrightError("invalid_request", "the request is not HTTP/1.1"))
        if self._state == _HEAD and self._head_bytes > self._limits.head_bytes_max:
            self._turn_away(
                WardwrightError(
                    "headers_too_large",
                    f"the head of the request is larger than {self._limits.head_bytes_max} bytes",
                    hint="the limit is `head_bytes_max`",
                )
            )

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._live is not None:
            self._live.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._live is not None:
            self._live.resume()

    def shutdown(self) -> None:
        """The server drains: what runs is finished, nothing new is taken."""
        if self._live is not None:
            self._keep_alive = False
        elif self._state == _ASGI:
            super().shutdown()
        else:
            self._close()

    def expired(self) -> None:
        """The deadline of whatever the connection waits for has passed."""
        match self._state:
            case 1:  # _HEAD
                self._turn_away(WardwrightError("request_timeout", "the head of the request did not arrive in time"))
            case 2:  # _BODY
                self._turn_away(WardwrightError("request_timeout", "the body of the request did not arrive in time"))
            case 3:  # _CALL
                if self._live is not None:
                    self._live.expired()
            case _:
                self._close()

    # -- the parser's callbacks ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._state in (_CALL, _ASGI):
            # Pipelined: rule 4.
            self._keep_alive = False
            if self._state == _ASGI:
                self.cycle.keep_alive = False
            raise _Pipelined
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._kind = None

    def on_headers_complete(self) -> None:
        parser = self.parser
        path, _, _ = self.url.partition(b"?")
        self._kind = kind = CALLS.get(path) if parser.get_method() == b"POST" else None
        if kind is None:
            self._state = _ASGI
            self._wait(self._limits.body_timeout_s)
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.headers, self.expect_100_continue = url, headers, expects
            self.scope["headers"] = headers
            super().on_headers_complete()
            return
        self._state = _BODY
        version = parser.get_http_version()
        self._keep_alive = parser.should_keep_alive()
        self._chunked = version != "1.0"
        self._body = []
        self._body_bytes = 0
        self._wait(self._limits.body_timeout_s)
        if self.expect_100_continue:
            self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._kind is None:
            super().on_body(body)
            return
        if self._state != _BODY:
            return
        self._body_bytes += len(body)
        self._body.append(body)
        if self._body_bytes > self._limits.body_bytes_max:
            self._body = []
            self._turn_away(
                WardwrightError(
                    "body_too_large",
                    f"the body is larger than {self._limits.body_bytes_max} bytes",
                    hint="the limit is `body_bytes_max`",
                )
            )

    def on_message_complete(self) -> None:
        kind = self._kind
        if kind is None:
            self._wait(NEVER)
            super().on_message_complete()
            return
        if self._state != _BODY:
            return
        self._state = _CALL
        pieces, self._body = self._body, []
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        live = self._gateway.call(kind, dict(self.headers), body, self)
        if live is not None:
            self._live = live
            self._wait(live.deadline_s)

    # -- the waiting client (gateway.client.Client) --------------------------------------------------------------------

    def answer(self, body: bytes, headers: bytes) -> None:
        self.transport.write(
            b"%b%b%b%bcontent-length: %d\r\n%b\r\n%b"
            % (_OK, self._date(), _JSON, headers, len(body), b"" if self._keep_alive else _CLOSE, body)
        )
        self._done()

    def begin(self, headers: bytes) -> None:
        if not self._chunked:
            self._keep_alive = False
        self.transport.write(
            b"%b%b%b%b%b%b\r\n"
            % (
                _OK,
                self._date(),
                _STREAM,
                headers,
                _CHUNKED if self._chunked else b"",
                b"" if self._keep_alive else _CLOSE,
            )
        )

    def send(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finish(self) -> None:
        if self._chunked:
            self.transport.write(b"0\r\n\r\n")
        self._done()

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        headers = b"" if receipt is None else b"x-wardwright-receipt-id: %b\r\n" % receipt.encode()
        if retry_after_s is not None:
            headers += b"retry-after: %d\r\n" % retry_after_s
        if not error.retryable:
            headers += b"x-should-retry: false\r\n"
        self._write_error(error, receipt, headers)
        self._done()

    def _write_error(self, error: WardwrightError, receipt: str | None, headers: bytes) -> None:
        body = error_body(error, receipt)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%b%b%bcontent-length: %d\r\n%b\r\n%b"
            % (
                error.status,
                _PHRASES[error.status],
                self._date(),
                _JSON,
                headers,
                len(body),
                b"" if self._keep_alive else _CLOSE,
                body,
            )
        )

    # -- between requests ----------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """uvicorn's hook: an ASGI response has been sent."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._rest()

    def _done(self) -> None:
        """A model call has been answered."""
        self._live = None
        self.server_state.total_requests += 1
        if self._keep_alive:
            self._rest()
        else:
            self._close()

    def _rest(self) -> None:
        self._state = _IDLE
        self._wait(self._limits.idle_timeout_s)

    def _turn_away(self, error: WardwrightError) -> None:
        """Answer a request that cannot be taken in, and close: where its end lies is not known."""
        if self._state in (_CLOSING, _CALL, _ASGI):
            self._close()
            return
        self._keep_alive = False
        self._gateway.meters.turned_away(error.code)
        self._write_error(error, None, b"")
        self._close()

    def _close(self) -> None:
        self._state = _CLOSING
        self._watch.at = NEVER
        self.transport.close()

    def _wait(self, seconds: float) -> None:
        watch = self._watch
        watch.at = self._gateway.now() + seconds
        self._wheel.arm(watch)

    def _date(self) -> bytes:
        """The lines uvicorn adds to every answer; it renews them each second."""
        global _date_lines
        source, rendered = _date_lines
        if source is not self.server_state.default_headers:
            source = self.server_state.default_headers
            rendered = b"".join(b"%b: %b\r\n" % line for line in source)
            _date_lines = (source, rendered)
        return rendered


class _Pipelined(Exception):
    """A request came before the one before it was answered."""


_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus} | {499: b"Client Closed Request"}

_date_lines: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")
"""The list they were rendered from, and the rendering."""
