"""The edge: uvicorn's HTTP/1.1 protocol, with model calls answered in place.

Rule 1: `POST` to a path in CALLS never becomes an ASGI task: the request goes to the gateway when its last byte is
here, and the connection itself is the client that the gateway answers. Everything else is uvicorn's and Starlette's.
Rule 2: every wait has a bound: the head (`head_timeout_s`, `head_bytes_max`), the body (`body_timeout_s`,
`body_bytes_max`), the call (its contract's deadline), the silence between requests (`idle_timeout_s`), the client's
taking of its last answer (LINGER_S). One deadline a connection, moved from one to the next.
Rule 3: a client that leaves is noticed at once, whatever the call is doing: reading is never paused for longer than
the client has not read what it was sent.
Rule 4: requests are answered one at a time. What a client pipelines behind a call is not taken: the connection closes
after the answer, and the client repeats on a new one.
Rule 5: a connection is closed by ending what is sent and hearing out what still comes: closed at once, a client in the
middle of its request would get a reset in place of the answer.
Rule 6: what came in a request's head is the head. Trailers change nothing, and offers to upgrade are declined.
Rule 7: what the parser has taken for a head once, it need not read again: a request that comes in one read, with the
head of the last one but for the length of its body, is taken as it stands. Everything else goes through the parser.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final, Protocol

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from wardwright.api.refusals import rendered
from wardwright.dialects.openai_wire import error_body
from wardwright.gateway.core.heading import Heading
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

LINGER_S: Final = 5
"""How long a client may go on sending, or not take what it was sent, after the connection's last answer."""

# Where a connection stands: what its deadline means, and what its bytes are.
_IDLE, _HEAD, _BODY, _CALL, _ASGI, _CLOSING = range(6)

_JSON: Final = b"content-type: application/json\r\n"
_STREAM: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
)
_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_CLOSE: Final = b"connection: close\r\n"
_NO_RETRY: Final = b"x-should-retry: false\r\n"
_WHO: Final = b"www-authenticate: Bearer\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]+)\r\n")
_LENGTH_DIGITS_MAX: Final = 12
_UPGRADE: Final = re.compile(rb"(?i)(?<=\r\n)upgrade(?=:)")
_DECLINED: Final = b"declined"


class Outbox(Protocol):
    """Gathers writes until the end of a turn of the event loop."""

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None: ...

    def flush(self) -> None:
        """Write now."""
        ...


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
        outbox: Outbox,
        wheel: Wheel,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gateway = gateway
        self._limits = limits
        self._outbox = outbox
        self._wheel = wheel
        self._watch = _Watch(self)
        self._state = _IDLE
        self._kind: Kind | None = None
        self._head: list[bytes] = []
        """What was read since the connection was idle, until a head is complete."""
        self._head_bytes = 0
        self._heads = 0
        """Requests that began within what was read."""
        self._fields: dict[bytes, bytes] = {}
        """The headers of the call that comes in."""
        self._last: _Repeatable | None = None
        """The call before, if another may have the same head."""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._overhead_bytes = 0
        """What came since the last piece of body and was none: sizes of chunks, trailers."""
        self._is_heard = False
        """The request that the app answers came in whole."""
        self._unsent = 0
        """Bytes that waited for the client when a closing connection was last looked at."""
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
        if len(self.connections) > self._limits.connections_max:
            self._turn_away(
                WardwrightError("overloaded", "too many connections are open", hint="the limit is `connections_max`")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        live = self._live
        if live is not None:
            live.left()
        if live is None or not live.drains:
            self._live = None
            self._state = _CLOSING
            self._watch.at = NEVER
            self._watch.edge = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == _CLOSING or self._is_deaf:
            return
        if state == _IDLE:
            if self._last is not None and (body := self._last.body_of(data)) is not None:
                self._repeat(self._last, body)
                return
            self._state = _HEAD
            self._head = [data]
            self._head_bytes = len(data)
            self._heads = 0
        elif state == _HEAD:
            self._head.append(data)
            self._head_bytes += len(data)
        else:
            self._overhead_bytes += len(data)
        self._feed(data)
        reached = self._state
        if state == _IDLE and self._kind is not None and reached in (_CALL, _IDLE) and self._heads == 1:
            self._last = self._repeatable(data)
        if reached == _HEAD:
            if self._head_bytes > self._limits.head_bytes_max:
                self._turn_away(self._head_too_large())
            elif state == _IDLE:
                self._wait(self._limits.head_timeout_s)
        elif reached == _BODY and state != _BODY:
            self._wait(self._limits.body_timeout_s)
        if reached != _HEAD and self._overhead_bytes > self._limits.head_bytes_max:
            self._turn_away(WardwrightError("invalid_request", "the body's chunks are wrapped in more than they hold"))

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as wrapped:
            match wrapped.__context__:
                case _Pipelined():
                    self._is_deaf = True
                case _Upgrade():
                    self._decline()
                case _TurnedAway() as turned:
                    self._turn_away(turned.error)
                case defect:
                    self._defect(defect if isinstance(defect, Exception) else wrapped)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._state in (_CALL, _ASGI):
                self._stay_deaf()  # nonsense behind a request that is being answered
            else:
                self._turn_away(WardwrightError("invalid_request", "the request is not HTTP/1.1"))

    def _repeat(self, last: _Repeatable, body: bytes) -> None:
        """A call with the head of the one before."""
        self._keep_alive = self._chunked = True
        self._overhead_bytes = 0
        try:
            self._call(last.kind, last.heading, body)
        except Exception as defect:
            self._defect(defect)

    def _repeatable(self, data: bytes) -> _Repeatable | None:
        """What a request that came in one read has in common with others like it; None where that is not plain."""
        limits, fields = self._limits, self._fields
        if not (self._keep_alive and self._chunked) or self.expect_100_continue or b"transfer-encoding" in fields:
            return None
        size = len(data) - self._body_bytes
        head = data[:size]
        found = _LENGTH.search(head)
        if found is None or int(found[1]) != self._body_bytes or head.find(b"\r\n\r\n") != size - 4:
            return None
        if size + _LENGTH_DIGITS_MAX > limits.head_bytes_max:
            return None
        assert self._kind is not None
        return _Repeatable(
            before=head[: found.start(1)],
            after=head[found.end(1) :],
            body_bytes_max=limits.body_bytes_max,
            heading=Heading(fields),
            kind=self._kind,
        )

    def _decline(self) -> None:
        """Read the head again without its offer to upgrade: the parser takes what follows one for another protocol.

        Java's client offers HTTP/2 with every request it makes in the clear.
        """
        head, end, rest = b"".join(self._head).partition(b"\r\n\r\n")
        plain = _UPGRADE.sub(_DECLINED, head)
        if self._heads > 1 or plain == head:
            self._turn_away(
                WardwrightError("invalid_request", "this server speaks HTTP/1.1 and upgrades to nothing else")
            )
            return
        again = plain + end + rest
        self._head = [again]
        self._heads = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(again)

    def _defect(self, defect: Exception) -> None:
        self._gateway.report(defect)
        self._turn_away(WardwrightError("internal_error", "a defect of the gateway ended this request"))

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
            case 4:  # _ASGI
                self._give_up_app()
            case 5:  # _CLOSING
                unsent = self.transport.get_write_buffer_size()
                if unsent in (0, self._unsent):
                    self.transport.abort()
                else:
                    self._unsent = unsent
                    self._wait(self._limits.idle_timeout_s)
            case _:
                self._close()

    # -- the parser's callbacks ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        state = self._state
        if state in (_CALL, _ASGI, _CLOSING):
            # Pipelined: rule 4.
            self._stay_deaf()
            raise _Pipelined
        if state == _IDLE:
            # It came in one read with a request that was answered at once.
            self._state = _HEAD
            self._head_bytes = 0
            self._wait(self._limits.head_timeout_s)
        self._heads += 1
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._kind = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._state == _HEAD:  # rule 6
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self.parser
        if parser.should_upgrade():
            raise _Upgrade
        limits = self._limits
        if self._head_bytes > limits.head_bytes_max and self._size_of_head() > limits.head_bytes_max:
            raise _TurnedAway(self._head_too_large())
        self._head = []
        self._overhead_bytes = 0
        self._kind = kind = self._call_of(self.url) if parser.get_method() == b"POST" else None
        if kind is None:
            self._hand_over()
            return
        self._state = _BODY
        version = parser.get_http_version()
        self._keep_alive = parser.should_keep_alive()
        self._chunked = version != "1.0"
        self._body = []
        self._body_bytes = 0
        self._fields = fields = dict(self.headers)
        declared = fields.get(b"content-length")
        if declared is not None and int(declared) > limits.body_bytes_max:
            raise _TurnedAway(self._body_too_large())
        if self.expect_100_continue:
            self._outbox.flush()
            self.transport.write(_CONTINUE)

    def _call_of(self, url: bytes) -> Kind | None:
        kind = CALLS.get(url)
        if kind is None and (b"?" in url or not url.startswith(b"/")):
            try:
                kind = CALLS.get(httptools.parse_url(url).path or b"")
            except httptools.HttpParserInvalidURLError:
                return None
        return kind

    def _hand_over(self) -> None:
        """To uvicorn, and by it to the app."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        try:
            path = httptools.parse_url(url).path or b""
        except httptools.HttpParserInvalidURLError:
            path = b"\xff"
        if not path.isascii():
            raise _TurnedAway(WardwrightError("invalid_request", "the request's target is no URL"))
        self._state = _ASGI
        self._is_heard = False
        self._wait(self._limits.body_timeout_s)
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes = 0
        if self._kind is None:
            super().on_body(body)
            return
        if self._state != _BODY:
            return
        self._body_bytes += len(body)
        self._body.append(body)
        if self._body_bytes > self._limits.body_bytes_max:
            self._body = []
            raise _TurnedAway(self._body_too_large())

    def on_message_complete(self) -> None:
        kind = self._kind
        if kind is None:
            if self._state == _ASGI:
                self._wait(NEVER)
                self._is_heard = True
            super().on_message_complete()
            return
        if self._state != _BODY:
            return
        pieces, self._body = self._body, []
        self._call(kind, Heading(self._fields), pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _call(self, kind: Kind, heading: Heading, body: bytes) -> None:
        self._state = _CALL
        live = self._gateway.call(kind, heading, body, self)
        if live is not None:
            self._live = live
            self._wait(live.deadline_s)

    # -- the waiting client (gateway.client.Client) --------------------------------------------------------------------

    def answer(self, body: bytes, headers: bytes) -> None:
        self._outbox.write(
            self.transport,
            b"%b%b%b%bcontent-length: %d\r\n%b\r\n%b"
            % (_OK, self._date(), _JSON, headers, len(body), b"" if self._keep_alive else _CLOSE, body),
        )
        self._done()

    def begin(self, headers: bytes) -> None:
        if not self._chunked:
            self._keep_alive = False
        self._outbox.write(
            self.transport,
            b"%b%b%b%b%b%b\r\n"
            % (
                _OK,
                self._date(),
                _STREAM,
                headers,
                _CHUNKED if self._chunked else b"",
                b"" if self._keep_alive else _CLOSE,
            ),
        )

    def send(self, data: bytes) -> None:
        self._outbox.write(self.transport, b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finish(self) -> None:
        if self._chunked:
            self._outbox.write(self.transport, b"0\r\n\r\n")
        self._done()

    def refuse(self, error: WardwrightError, receipt: str | None, retry_after_s: int | None) -> None:
        headers = b"" if receipt is None else b"x-wardwright-receipt-id: %b\r\n" % receipt.encode()
        if retry_after_s is not None:
            headers += b"retry-after: %d\r\n" % retry_after_s
        self._write_error(error, receipt, headers, retry_after_s)
        self._done()

    def _write_error(
        self, error: WardwrightError, receipt: str | None, headers: bytes, retry_after_s: int | None = None
    ) -> None:
        if not error.worth_retrying(retry_after_s):
            headers += _NO_RETRY
        if error.status == 401:
            headers += _WHO
        self._write(error.status, _JSON + headers, error_body(error, receipt))

    def _write(self, status: int, headers: bytes, body: bytes) -> None:
        self._outbox.write(
            self.transport,
            b"HTTP/1.1 %d %b\r\n%b%bcontent-length: %d\r\n%b\r\n%b"
            % (
                status,
                _PHRASES[status],
                self._date(),
                headers,
                len(body),
                b"" if self._keep_alive else _CLOSE,
                body,
            ),
        )

    # -- between requests ----------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """uvicorn's hook: an ASGI response has been sent."""
        self.server_state.total_requests += 1
        if self._state != _ASGI:
            return
        if not self._is_heard or self.transport.is_closing():
            # Where the rest of this request ends is not known before it has come: nobody waits for that.
            self._linger()
            return
        self.flow.resume_reading()
        self._rest()

    def _done(self) -> None:
        """A model call has been answered."""
        self._live = None
        self.server_state.total_requests += 1
        if self._keep_alive:
            self._rest()
        elif self._is_deaf:
            self._linger()
        else:
            self._close()

    def _rest(self) -> None:
        self._state = _IDLE
        self._wait(self._limits.idle_timeout_s)

    def _turn_away(self, error: WardwrightError) -> None:
        """Answer a request that cannot be taken in, and close: where its end lies is not known."""
        match self._state:
            case 5:  # _CLOSING
                return
            case 3 | 4:  # _CALL, _ASGI: the answer may have begun
                self._close()
            case _:
                self._keep_alive = False
                self._gateway.meters.turned_away(error.code)
                self._write_error(error, None, b"")
                self._linger()

    def _give_up_app(self) -> None:
        """The app waits for a body that does not come."""
        cycle = self.cycle
        if not cycle.response_started:
            error = WardwrightError("request_timeout", "the body of the request did not arrive in time")
            body, media_type, _ = rendered(cycle.scope["path"], error)
            self._keep_alive = False
            self._write(error.status, b"content-type: %b\r\n" % media_type.encode(), body)
            cycle.disconnected = True
            cycle.message_event.set()
        self._linger()

    def _head_too_large(self) -> WardwrightError:
        return WardwrightError(
            "headers_too_large",
            f"the head of the request is larger than {self._limits.head_bytes_max} bytes",
            hint="the limit is `head_bytes_max`",
        )

    def _body_too_large(self) -> WardwrightError:
        return WardwrightError(
            "body_too_large",
            f"the body is larger than {self._limits.body_bytes_max} bytes",
            hint="the limit is `body_bytes_max`",
        )

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _stay_deaf(self) -> None:
        """Hear nothing more of this client, and close when it has its answer."""
        self._is_deaf = True
        self._keep_alive = False
        if self._state == _ASGI:
            self.cycle.keep_alive = False

    def _close(self) -> None:
        """Close when the client has taken what it was sent, or does not go on taking it."""
        self._state = _CLOSING
        self._outbox.flush()
        self.transport.close()
        self._wait(min(LINGER_S, self._limits.idle_timeout_s))

    def _linger(self) -> None:
        """Rule 5."""
        transport = self.transport
        if transport.is_closing() or not transport.can_write_eof():
            self._close()
            return
        self._state = _CLOSING
        self._outbox.flush()
        transport.write_eof()
        self._wait(min(LINGER_S, self._limits.idle_timeout_s))

    def _wait(self, seconds: float) -> None:
        watch = self._watch
        watch.at = at = self._gateway.now() + seconds
        if at < watch.looked_at:
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


class _Repeatable(msgspec.Struct, frozen=True, kw_only=True):
    """A head that the parser has read, around the length of the body."""

    before: bytes
    after: bytes
    body_bytes_max: int
    heading: Heading
    kind: Kind

    def body_of(self, data: bytes) -> bytes | None:
        """The body of a request that has this head and is here whole, with nothing behind it."""
        before, after = self.before, self.after
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _LENGTH_DIGITS_MAX + 1)
        length = data[start:end]
        if end < 0 or not length.isdigit() or not data.startswith(after, end):
            return None
        body = data[end + len(after) :]
        return body if int(length) == len(body) <= self.body_bytes_max else None


class _Pipelined(Exception):
    """A request came before the one before it was answered."""


class _Upgrade(Exception):
    """A request offers to go on in another protocol."""


class _TurnedAway(Exception):
    """A request is refused before it is whole. Raised through the parser, which reads no further then."""

    def __init__(self, error: WardwrightError) -> None:
        super().__init__()
        self.error = error


_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus} | {499: b"Client Closed Request"}

_date_lines: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")
"""The list they were rendered from, and the rendering."""
