"""The second transport, on httpx2: for proxies and for whatever the native one does not speak.

Rule 1: it keeps the same bounds by the same wheel; httpx2's own time-outs, redirects, cookies, environment and
decoding take no part (its transport is used, not its client).
Rule 2: a task carries an exchange; it ends when the exchange does. Cancelling the task closes the connection, save
within a TLS handshake, where httpx2 would leave the socket open: that one ends by httpx2's own connect time-out.
Rule 3: a connection carries one exchange. httpx2 keeps bytes that follow an answer and would take them for the next
one: a response of one caller could be forged from that of another.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, Literal, TypeAlias

import httpx2

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Exchange, Failure, Gauges, HttpRequest, Receiver
from wardwright.limits.deadlines import NEVER, Deadline, Wheel
from wardwright.providers import failures
from wardwright.providers.answer import BOUNDS, Bounds
from wardwright.providers.endpoint import Heads, parse_base_url, tls_context
from wardwright.providers.spawn import Spawn

Phase: TypeAlias = Literal["queued", "connecting", "first_byte", "between_bytes", "paused", "over"]


class Httpx2Exchange(Deadline):
    """One request on its way: what it waits for, and who hears of it."""

    __slots__ = ("_pool", "_resumed", "_total_at", "is_shaking_hands", "phase", "receiver", "request", "task")

    def __init__(self, pool: Httpx2Transport, request: HttpRequest, receiver: Receiver, total_at: float) -> None:
        super().__init__()
        self._pool = pool
        self._total_at = total_at
        self._resumed = asyncio.Event()
        self._resumed.set()
        self.request = request
        self.receiver = receiver
        self.phase: Phase = "queued"
        self.task: asyncio.Task[None] | None = None
        self.is_shaking_hands = False

    @property
    def is_over(self) -> bool:
        return self.phase == "over"

    def pause(self) -> None:
        if not self.is_over:
            self._resumed.clear()
            if self.phase == "between_bytes":
                self.enter("paused")  # a read may be under way

    def resume(self) -> None:
        if not self.is_over:
            self._resumed.set()
            if self.phase == "paused":
                self.enter("between_bytes")

    def cancel(self) -> None:
        if not self.is_over:
            self.enter("over")
            self._pool.abandoned(self)

    def enter(self, phase: Phase) -> None:
        """Wait for something else now."""
        self.phase = phase
        self.at = min(self._pool.ends_at(phase), self._total_at) if phase != "over" else NEVER
        self._pool.wheel.arm(self)

    def expired(self, now: float) -> None:
        self.fail(failures.TOTAL_TIMEOUT if now >= self._total_at else _TIMEOUTS[self.phase])

    def fail(self, failure: Failure) -> None:
        """Tell the receiver, unless the exchange is over, and stop carrying it."""
        if not self.is_over:
            self.enter("over")
            self._pool.abandoned(self)
            self.receiver.failed(failure)

    async def may_read(self) -> bool:
        """Wait while paused. False once the exchange is over."""
        if not self._resumed.is_set() and not self.is_over:
            self.enter("paused")
            await self._resumed.wait()
        return not self.is_over

    def end(self) -> None:
        if not self.is_over:
            self.enter("over")
            self.receiver.end()


_TIMEOUTS: dict[Phase, Failure] = {
    "queued": failures.POOL_BUSY,
    "connecting": failures.CONNECT_TIMEOUT,
    "first_byte": failures.FIRST_BYTE_TIMEOUT,
    "between_bytes": failures.BETWEEN_BYTES_TIMEOUT,
    "paused": failures.TOTAL_TIMEOUT,
    "over": failures.CLOSED,
}


class Httpx2Transport:
    """The way to one provider over httpx2. Implements `dialects.exchange.Transport`."""

    def __init__(
        self,
        provider: Provider,
        credential: bytes | None,
        extra_headers: tuple[tuple[bytes, bytes], ...],
        wheel: Wheel,
        loop: asyncio.AbstractEventLoop,
        spawn: Spawn,
        bounds: Bounds = BOUNDS,
    ) -> None:
        """`extra_headers` are the provider's own, resolved. Raises `contract_invalid` and `invalid_header`."""
        self._provider = provider
        self._endpoint = parse_base_url(provider)
        self._heads = Heads(self._endpoint, provider.dialect, credential, extra_headers)
        self._bounds = bounds
        self._loop = loop
        self._spawn = spawn
        self._http: httpx2.AsyncHTTPTransport | None = None
        self._running: set[Httpx2Exchange] = set()
        self._queue: OrderedDict[Httpx2Exchange, None] = OrderedDict()
        self.wheel = wheel

    async def open(self) -> None:
        """Read the trusted certificates. Raises `settings_invalid`. Connects to nothing."""
        self._http = httpx2.AsyncHTTPTransport(
            verify=tls_context(self._provider),
            trust_env=False,
            proxy=self._provider.proxy,
            limits=httpx2.Limits(
                max_connections=self._provider.pool.connections_max,
                max_keepalive_connections=0,
            ),
        )

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        """Send a request as soon as there is room for it.

        Raises `invalid_header` for a request that would break out of its head.
        """
        carried = self._render(request)
        exchange = Httpx2Exchange(self, request, receiver, self.wheel.now + self._provider.timeouts.total_s)
        if self._http is None:
            self._loop.call_soon(exchange.fail, failures.NOT_OPEN)
        elif len(self._running) < self._provider.pool.connections_max:
            self._run(exchange, carried)
        elif len(self._queue) < self._provider.pool.waiting_max:
            exchange.enter("queued")
            self._queue[exchange] = None
        else:
            self._loop.call_soon(exchange.fail, failures.POOL_FULL)
        return exchange

    def gauges(self) -> Gauges:
        """A connection lives as long as its exchange."""
        return Gauges(connections=len(self._running), idle=0, waiting=len(self._queue))

    async def aclose(self) -> None:
        """Close every connection; what is under way or waiting hears `failed` (`reset`). Harmless when repeated."""
        http, self._http = self._http, None
        tasks = [exchange.task for exchange in self._running if exchange.task is not None]
        for exchange in [*self._queue, *self._running]:
            exchange.fail(failures.CLOSED)
        if tasks:
            await asyncio.wait(tasks)
        if http is not None:
            await http.aclose()

    # --- an exchange's side

    def ends_at(self, phase: Phase) -> float:
        """When a wait that begins now has lasted too long."""
        timeouts = self._provider.timeouts
        match phase:
            case "queued" | "connecting":
                return self.wheel.now + timeouts.connect_s
            case "first_byte":
                return self.wheel.now + timeouts.first_byte_s
            case "between_bytes":
                return self.wheel.now + timeouts.between_bytes_s
            case "paused" | "over":
                return NEVER

    def abandoned(self, exchange: Httpx2Exchange) -> None:
        """Nobody waits for it any more."""
        self._queue.pop(exchange, None)
        if exchange.task is not None and exchange.task is not asyncio.current_task() and not exchange.is_shaking_hands:
            exchange.task.cancel()

    # --- what the above use

    def _render(self, request: HttpRequest) -> httpx2.Request:
        endpoint = self._endpoint
        scheme = "https" if endpoint.tls else "http"
        return httpx2.Request(
            request.method,
            f"{scheme}://{endpoint.authority}{self._heads.target(request.path)}",
            headers=[*self._heads.pairs(request), (b"content-length", b"%d" % len(request.body))],
            content=request.body,
            extensions={"timeout": {"connect": self._provider.timeouts.connect_s}},
        )

    def _run(self, exchange: Httpx2Exchange, carried: httpx2.Request) -> None:
        exchange.enter("connecting")
        self._running.add(exchange)
        exchange.task = self._spawn(self._carry(exchange, carried))
        exchange.task.add_done_callback(lambda _: self._ran(exchange))

    def _ran(self, exchange: Httpx2Exchange) -> None:
        self._running.discard(exchange)
        exchange.task = None
        if self._queue and self._http is not None:
            queued, _ = self._queue.popitem(last=False)
            self._run(queued, self._render(queued.request))

    async def _carry(self, exchange: Httpx2Exchange, carried: httpx2.Request) -> None:
        """Carry one exchange to its end. Runs as a task."""

        async def trace(event: str, about: dict[str, Any]) -> None:
            if event.endswith("start_tls.started"):
                exchange.is_shaking_hands = True
            elif event.endswith(("start_tls.complete", "start_tls.failed")):
                exchange.is_shaking_hands = False
            elif event == "http11.send_request_headers.started" and about["request"].method != b"CONNECT":
                if exchange.is_over:
                    raise _GivenUp
                exchange.enter("first_byte")

        carried.extensions["trace"] = trace
        http = self._http
        if http is None:
            return
        try:
            response = await http.handle_async_request(carried)
            try:
                await self._relay(exchange, response)
            finally:
                await response.aclose()
        except _GivenUp:
            return
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            exchange.fail(_failure(error, exchange.phase))
        else:
            exchange.end()

    async def _relay(self, exchange: Httpx2Exchange, response: httpx2.Response) -> None:
        """Hand on the head and the body, unless the exchange ends before them."""
        if exchange.is_over:
            return
        if response.status_code < 200:
            exchange.fail(failures.NOT_HTTP)
            return
        exchange.enter("between_bytes")
        exchange.receiver.head(response.status_code, [(name.lower(), value) for name, value in response.headers.raw])
        room = self._bounds.body_bytes_max
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        pieces: AsyncIterator[bytes] = aiter(stream)
        while await exchange.may_read():
            piece = await anext(pieces, None)
            if piece is None:
                return
            room -= len(piece)
            if room < 0:
                exchange.fail(failures.BODY_TOO_LARGE)
                return
            if piece:
                exchange.enter("between_bytes")
                exchange.receiver.body(piece)


class _GivenUp(Exception):
    """Nobody waits for the connection that was made."""


def _failure(error: Exception, phase: Phase) -> Failure:
    """What httpx2's error means, in our words."""
    match error:
        case httpx2.ConnectTimeout():
            return failures.CONNECT_TIMEOUT
        case httpx2.ConnectError() | httpx2.ProxyError():
            return failures.connect_failure(_root(error))
        case httpx2.RemoteProtocolError() if re.match("peer (unexpectedly )?closed connection", str(error)):
            return failures.TRUNCATED  # h11's words for a body that stops early
        case httpx2.RemoteProtocolError() if "Server disconnected" in str(error):
            return failures.RESET
        case httpx2.NetworkError() | OSError():
            if phase == "connecting":
                return failures.connect_failure(_root(error))
            return failures.RESET if phase == "first_byte" else failures.RESET_IN_BODY
        case _:
            return failures.NOT_HTTP


def _root(error: BaseException) -> BaseException:
    """The system's or TLS's own error beneath the wrappings."""
    below = error.__cause__ or error.__context__
    while below is not None:
        if isinstance(below, ssl.SSLError) or (isinstance(below, OSError) and below.errno is not None):
            return below
        below = below.__cause__ or below.__context__
    return error
