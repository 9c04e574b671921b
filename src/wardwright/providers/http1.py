"""Our own HTTP/1.1 transport: a pool of keep-alive connections over asyncio protocols and httptools.

Rule 1: while a pooled connection is idle, `start` puts the request on it before it returns, no task, no future; it is
written with all others of the same turn of the event loop (`outbox`).
Rule 2: connections and the queue for one are bounded; who comes later than the queue holds fails with `pool_full`.
Rule 3: the connection used last is used next, so that the others grow old and are closed; the queue is first come,
first served.
Rule 4: a request is sent a second time only if a reused connection closed without one byte of answer (a stale
keep-alive, RFC 9112 §9.3.1), once, and on a fresh connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict

from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Exchange, Failure, Gauges, HttpRequest, Receiver
from wardwright.limits.deadlines import NEVER, Deadline, Wheel
from wardwright.providers import failures
from wardwright.providers.answer import BOUNDS, Bounds
from wardwright.providers.connection import Connection, NativeExchange
from wardwright.providers.endpoint import Heads, parse_base_url, tls_context
from wardwright.providers.outbox import Outbox
from wardwright.providers.spawn import Spawn


class NativeTransport:
    """The way to one provider on its own pool of connections. Implements `dialects.exchange.Transport`."""

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
        self._wheel = wheel
        self._loop = loop
        self._spawn = spawn
        self._bounds = bounds
        self._tls: ssl.SSLContext | None = None
        self._is_open = False
        self._idle: list[Connection] = []
        """The one used last stands last."""
        self._connections: set[Connection] = set()
        self._attempts: set[_Attempt] = set()
        self._queue: OrderedDict[_Queued, None] = OrderedDict()
        self._emptied = asyncio.Event()
        self._outbox = Outbox(loop)

    async def open(self) -> None:
        """Read the trusted certificates. Raises `settings_invalid`. Connects to nothing."""
        if self._endpoint.tls:
            self._tls = tls_context(self._provider)
        self._is_open = True

    def start(self, request: HttpRequest, receiver: Receiver) -> Exchange:
        """Send a request now, or as soon as a connection is there.

        Raises `invalid_header` for a request that would break out of its head.
        """
        head = self._heads.render(request)
        exchange = NativeExchange(request, receiver, self._wheel.now + self._provider.timeouts.total_s)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                connection.begin(exchange, head)
                return exchange
        if not self._is_open:
            self._refuse(exchange, failures.NOT_OPEN)
        elif self._has_room():
            self._connect(exchange)
        elif len(self._queue) < self._provider.pool.waiting_max:
            self._queue[_Queued(self, exchange)] = None
        else:
            self._refuse(exchange, failures.POOL_FULL)
        return exchange

    def gauges(self) -> Gauges:
        """Connections under way to being made count as connections."""
        return Gauges(
            connections=len(self._connections) + len(self._attempts),
            idle=sum(connection.is_usable for connection in self._idle),
            waiting=len(self._queue),
        )

    async def aclose(self) -> None:
        """Close every connection; what is under way or waiting hears `failed` (`reset`). Harmless when repeated."""
        self._is_open = False
        for queued in list(self._queue):
            queued.fail(failures.CLOSED)
        dialling = [attempt.task for attempt in self._attempts if attempt.task is not None]
        for attempt in list(self._attempts):
            attempt.fail(failures.CLOSED)
        for connection in list(self._connections):
            connection.fail(failures.CLOSED)
        if dialling:
            await asyncio.wait(dialling)
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    # --- a connection's side

    def released(self, connection: Connection) -> None:
        """Give it to who waits longest, else keep it."""
        if not self._is_open:
            connection.close()
        elif self._queue:
            exchange = self._take_queued()
            connection.begin(exchange, self._heads.render(exchange.request))
        else:
            connection.rest()
            self._idle.append(connection)

    def stale(self, connection: Connection, exchange: NativeExchange) -> None:
        """Send it again on a fresh connection, which takes the place of the closed one."""
        exchange.retried = True
        self._connections.discard(connection)
        if self._is_open:
            self._connect(exchange)
        else:
            self._refuse(exchange, failures.CLOSED)

    def lost(self, connection: Connection) -> None:
        """Its place is free."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._connections.discard(connection)
        self.room_freed()

    # --- an attempt's side

    def connected(self, attempt: _Attempt, connection: Connection) -> None:
        """An attempt succeeded."""
        self._attempts.discard(attempt)
        if not connection.is_usable:
            self.room_freed()
            attempt.exchange.fail(failures.RESET)
            return
        self._connections.add(connection)
        connection.begin(attempt.exchange, self._heads.render(attempt.exchange.request))

    def attempt_over(self, attempt: _Attempt) -> None:
        """An attempt made no connection."""
        self._attempts.discard(attempt)
        self.room_freed()

    def leave_queue(self, queued: _Queued) -> None:
        self._queue.pop(queued, None)

    def room_freed(self) -> None:
        """Connect for who waits longest."""
        if self._queue and self._has_room():
            self._connect(self._take_queued())
        if not self._connections:
            self._emptied.set()

    async def dial(self, attempt: _Attempt) -> None:
        """Make one connection, and say how it went. Runs as a task."""
        endpoint = self._endpoint
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self, self._provider, self._bounds, self._wheel, self._outbox),
                endpoint.host,
                endpoint.port,
                ssl=self._tls,
                server_hostname=endpoint.host if endpoint.tls else None,
            )
        except (OSError, ssl.SSLError) as error:
            attempt.fail(failures.connect_failure(error))
        else:
            attempt.succeed(connection)

    # --- what the above use

    def _has_room(self) -> bool:
        return len(self._connections) + len(self._attempts) < self._provider.pool.connections_max

    def _connect(self, exchange: NativeExchange) -> None:
        attempt = _Attempt(self, exchange)
        self._attempts.add(attempt)
        attempt.task = self._spawn(self.dial(attempt))

    def _take_queued(self) -> NativeExchange:
        queued, _ = self._queue.popitem(last=False)
        queued.at = NEVER
        return queued.exchange

    def _refuse(self, exchange: NativeExchange, failure: Failure) -> None:
        """Fail on the loop's next turn: `start` never calls back."""
        exchange.holder = _Refused()
        self._loop.call_soon(exchange.fail, failure)

    def watch(self, wait: _Attempt | _Queued) -> None:
        """Bound a wait by `connect_s` and what is left of the total."""
        wait.at = min(self._wheel.now + self._provider.timeouts.connect_s, wait.exchange.total_at)
        self._wheel.arm(wait)

    def timeout(self, exchange: NativeExchange, now: float, otherwise: Failure) -> Failure:
        return failures.TOTAL_TIMEOUT if now >= exchange.total_at else otherwise


class _Refused:
    """Holds an exchange that fails on the loop's next turn."""

    def abandon(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class _Queued(Deadline):
    """An exchange that waits for a connection to become free. Waits no longer than `connect_s`."""

    __slots__ = ("_pool", "exchange")

    def __init__(self, pool: NativeTransport, exchange: NativeExchange) -> None:
        super().__init__()
        self._pool = pool
        self.exchange = exchange
        exchange.holder = self
        pool.watch(self)

    def expired(self, now: float) -> None:
        self.fail(self._pool.timeout(self.exchange, now, failures.POOL_BUSY))

    def fail(self, failure: Failure) -> None:
        self.abandon()
        self.exchange.fail(failure)

    def abandon(self) -> None:
        self.at = NEVER
        self._pool.leave_queue(self)

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class _Attempt(Deadline):
    """A connection under way to being made, for one exchange."""

    __slots__ = ("_pool", "exchange", "task")

    def __init__(self, pool: NativeTransport, exchange: NativeExchange) -> None:
        super().__init__()
        self._pool = pool
        self.exchange = exchange
        self.task: asyncio.Task[None] | None = None
        exchange.holder = self
        pool.watch(self)

    def succeed(self, connection: Connection) -> None:
        self.at = NEVER
        self.task = None
        self._pool.connected(self, connection)

    def expired(self, now: float) -> None:
        self.fail(self._pool.timeout(self.exchange, now, failures.CONNECT_TIMEOUT))

    def fail(self, failure: Failure) -> None:
        self.abandon()
        self.exchange.fail(failure)

    def abandon(self) -> None:
        self.at = NEVER
        task, self.task = self.task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._pool.attempt_over(self)

    def pause(self) -> None: ...

    def resume(self) -> None: ...
